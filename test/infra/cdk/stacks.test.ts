import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { parameterName as readName } from '../../../infra/aws/secrets.ts';
import { parameterName, stage } from '../../../infra/cdk/stage.ts';
import { forEmulator } from '../../emulator/template.ts';
import { synthesize } from './synth.ts';

const main = synthesize('main');
const fromCore = (output: string) => ({
  'Fn::GetStackOutput': Match.objectLike({ OutputName: Match.stringLikeRegexp(output) }),
});
const { auth, api, analytics, backupProcessors } = main.templates;

test('the activity stream has two readers, which start at its beginning, halve failed batches and keep those that never succeed', () => {
  const readers = main
    .ofType('AWS::Lambda::EventSourceMapping')
    .filter(([, each]) => JSON.stringify(each.Properties.EventSourceArn).includes('StreamArn'));
  expect(readers).toHaveLength(2);
  const promise = { StartingPosition: 'TRIM_HORIZON', BisectBatchOnFunctionError: true };
  for (const [, { Properties }] of readers) {
    expect(Properties).toMatchObject(promise);
    expect(Properties).toMatchObject({
      MaximumRetryAttempts: expect.any(Number),
      MaximumRecordAgeInSeconds: expect.any(Number),
    });
    // A bucket gets the whole batch. A queue would get a position in the stream, which expires within a day.
    expect(JSON.stringify(Properties.DestinationConfig)).toMatch(/OnFailure.*Destination.*Failed/);
  }
  analytics.resourceCountIs('AWS::Lambda::EventSourceMapping', 1);
  // Relays contend for the head of an account's ledger.
  const [relay] = Object.values(
    backupProcessors.findResources('AWS::Lambda::EventSourceMapping', { Properties: promise }),
  );
  expect(relay?.Properties.ParallelizationFactor).toBeLessThanOrEqual(2);
});

test.for(['job', 'data'])('the %s queue reports failed messages one by one and caps the concurrency', (kind) => {
  backupProcessors.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
    EventSourceArn: fromCore(`${kind}queue.*Arn`),
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    ScalingConfig: { MaximumConcurrency: Match.anyValue() },
  });
});

test('a message stays hidden longer than the function timeout', () => {
  const longest = Math.max(
    ...Object.values(backupProcessors.findResources('AWS::Lambda::Function')).map((each) => each.Properties.Timeout),
  );
  for (const kind of ['job', 'data']) {
    const [queue] = Object.values(
      main.templates.core.findResources('AWS::SQS::Queue', {
        Properties: { QueueName: `listbackup-${kind}-queue-main` },
      }),
    );
    expect(queue?.Properties.VisibilityTimeout).toBeGreaterThan(longest);
  }
});

test('the queue policies allow only rules of the stage bus', () => {
  const policies = Object.values(main.templates.core.findResources('AWS::SQS::QueuePolicy'));
  const allowing = policies
    .flatMap((each) => each.Properties.PolicyDocument.Statement)
    .filter((each) => each.Effect === 'Allow');
  expect(allowing).toHaveLength(3);
  for (const each of allowing) {
    expect(each).toMatchObject({
      Principal: { Service: 'events.amazonaws.com' },
      Action: 'sqs:SendMessage',
      Condition: { ArnLike: { 'aws:SourceArn': expect.anything() } },
    });
  }
});

test('sign-up needs the client secret and sign-in needs AWS credentials', () => {
  auth.hasResourceProperties('AWS::Cognito::UserPoolClient', {
    GenerateSecret: true,
    ExplicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
  });
});

test('the client can read and write every attribute of a registration', () => {
  const registered = ['custom:accountId', 'custom:userId', 'email', 'name'];
  auth.hasResourceProperties('AWS::Cognito::UserPoolClient', {
    WriteAttributes: registered,
    ReadAttributes: [...registered, 'email_verified'].toSorted(),
  });
});

test('only the functions of the queues may recurse without limit, because tasks go on in new messages', () => {
  const recursive = main
    .ofType('AWS::Lambda::Function')
    .filter(([, { Properties }]) => Properties.RecursiveLoop === 'Allow');
  expect(recursive.map(([, { Properties }]) => Properties.FunctionName)).toEqual([
    'listbackup-main-job-queue',
    'listbackup-main-data-queue',
  ]);
});

test('templates are ASCII, because CloudFormation replaces other characters with question marks', () => {
  const all = synthesize('main', {
    network: 'nat',
    mailDomain: 'mail.example.com',
    edge: 'true',
    region: 'eu-central-1',
    replicaRegions: 'eu-west-1',
  });
  const texts = all.names.map((name) => [name, JSON.stringify(all.stack(name).toJSON())] as const);
  expect(texts.length).toBeGreaterThan(6);
  for (const [name, text] of texts) expect([name, text.match(/.{20}[^\x20-\x7e]+/)?.[0]]).toEqual([name, undefined]);
});

test('every log group has a retention time', () => {
  for (const [id, { Properties }] of main.ofType('AWS::Logs::LogGroup')) {
    expect({ id, ...Properties }).toMatchObject({ id, RetentionInDays: expect.any(Number) });
  }
});

test('passwords need 12 characters, and the only second factor is an authenticator app', () => {
  auth.hasResourceProperties('AWS::Cognito::UserPool', {
    Policies: {
      PasswordPolicy: {
        MinimumLength: 12,
        RequireLowercase: false,
        RequireNumbers: false,
        RequireSymbols: false,
        RequireUppercase: false,
      },
    },
    EnabledMfas: ['SOFTWARE_TOKEN_MFA'],
    DeletionProtection: 'ACTIVE',
  });
});

test('the user id and account id of a Cognito user are immutable', () => {
  auth.hasResourceProperties('AWS::Cognito::UserPool', {
    Schema: Match.arrayWith([
      Match.objectLike({ Name: 'userId', Mutable: false }),
      Match.objectLike({ Name: 'accountId', Mutable: false }),
    ]),
  });
});

test.for([
  ['main', '/listbackup/cognito-user-pool-id', '/listbackup/cognito-client-id'],
  ['test', '/listbackup/test/cognito-user-pool-id', '/listbackup/test/cognito-client-id'],
] as const)('stage %s writes its Cognito ids to the parameter store', ([name, ...parameters]) => {
  const template = name === 'main' ? auth : synthesize(name).templates.auth;
  for (const Name of parameters) template.hasResourceProperties('AWS::SSM::Parameter', { Name });
});

test('functions may read the secrets under the names that they use', () => {
  for (const name of ['main', 'test'])
    expect(parameterName(stage(name), 'jwt-secret')).toBe(readName(name, 'jwt-secret'));
});

test('the API is throttled', () => {
  api.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
    StageName: '$default',
    DefaultRouteSettings: { ThrottlingRateLimit: Match.anyValue(), ThrottlingBurstLimit: Match.anyValue() },
  });
});

test('users must confirm their e-mail address, except on stage test', () => {
  const confirm = (name: string) =>
    new Set(
      synthesize(name)
        .ofType('AWS::Lambda::Function')
        .map(([, each]) => each.Properties.Environment?.Variables.CONFIRM_EMAIL),
    );
  expect(confirm('main')).toEqual(new Set(['true']));
  expect(confirm('test')).toEqual(new Set(['false']));
});

test('the verification e-mail contains a link, and the user pool has a domain for it', () => {
  auth.hasResourceProperties('AWS::Cognito::UserPool', {
    VerificationMessageTemplate: {
      DefaultEmailOption: 'CONFIRM_WITH_LINK',
      EmailMessageByLink: Match.stringLikeRegexp('\\{##.+##\\}'),
    },
  });
  auth.resourceCountIs('AWS::Cognito::UserPoolDomain', 1);
  synthesize('test').templates.auth.resourceCountIs('AWS::Cognito::UserPoolDomain', 0);
});

test.for(['', 'Main', 'a_b', '-a', 'a-', 'x'.repeat(21)])('rejects the stage name "%s"', (name) => {
  expect(() => stage(name)).toThrow('is invalid');
});

test('the emulator templates lack only TLS conditions and unknown resource types', () => {
  const dropped = Object.values(main.templates).flatMap(
    (template) => forEmulator(template.toJSON(), 'abcd1234').dropped,
  );
  const types = dropped.filter((line) => !line.includes('requires TLS')).map((line) => line.split(' ')[0]);
  expect([...new Set(types)].sort()).toEqual([
    'AWS::Budgets::Budget',
    'AWS::CE::AnomalyMonitor',
    'AWS::CE::AnomalySubscription',
    'AWS::CloudWatch::Alarm',
    'AWS::CloudWatch::CompositeAlarm',
    'AWS::EC2::FlowLog',
    'AWS::Events::Archive',
    'AWS::Logs::QueryDefinition',
  ]);
});
