import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { type Resource, type Statement, synthesize } from './synth.ts';

const { dataAnalysis, analytics, backupProcessors } = synthesize('main').templates;
const all = dataAnalysis.toJSON() as { Resources: { [id: string]: Resource } };
const list = <T>(value: T | T[] | undefined): T[] => (value === undefined ? [] : ([value].flat() as T[]));

/** The statements of the one role whose id starts with `role`. */
function allowed(role: string): Statement[] {
  const policies = Object.values(all.Resources).filter(({ Type, Properties }) => {
    return Type === 'AWS::IAM::Policy' && JSON.stringify(Properties.Roles).includes(`"${role}`);
  });
  expect(policies).toHaveLength(1);
  return policies.flatMap(({ Properties }) => Properties.PolicyDocument?.Statement ?? []);
}

test('failed calls of the reconcile stay in a dead-letter queue', () => {
  const queue = Object.keys(dataAnalysis.findResources('AWS::SQS::Queue'))[0];
  const dead = { 'Fn::GetAtt': [queue, 'Arn'] };
  dataAnalysis.resourceCountIs('AWS::Scheduler::Schedule', 1);
  dataAnalysis.hasResourceProperties('AWS::Scheduler::Schedule', {
    Target: Match.objectLike({
      Arn: { 'Fn::GetAtt': [Match.stringLikeRegexp('^reconcile'), 'Arn'] },
      DeadLetterConfig: { Arn: dead },
    }),
  });
  // Dead letters of calls that could not start and of calls that failed.
  dataAnalysis.hasResourceProperties('AWS::Lambda::EventInvokeConfig', {
    DestinationConfig: { OnFailure: { Destination: dead } },
  });
});

test('the schedule may only start the reconcile and write its dead letters', () => {
  const statements = allowed('ScheduleRole').map(({ Action, Resource }) => [Action, JSON.stringify(Resource)]);
  expect(statements).toEqual([
    ['lambda:InvokeFunction', expect.stringMatching(/^\{"Fn::GetAtt":\["reconcile\w+","Arn"\]\}$/)],
    ['sqs:SendMessage', expect.stringMatching(/^\{"Fn::GetAtt":\["DeadLetters\w+","Arn"\]\}$/)],
  ]);
});

test('the reconcile can write only its own record', () => {
  const writing = allowed('reconcilerole').filter(({ Action }) =>
    list(Action).some((each) => /^dynamodb:.*(Put|Update|Delete|Write|PartiQL)/.test(each)),
  );
  expect(writing).toHaveLength(1);
  expect(writing[0]).toMatchObject({
    Action: ['dynamodb:GetItem', 'dynamodb:PutItem'],
    Resource: { 'Fn::GetStackOutput': { OutputName: expect.stringContaining('Tablerecords') } },
    Condition: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['reconcile'] } },
  });
  const others = allowed('reconcilerole')
    .flatMap(({ Action }) => list(Action))
    .filter((action) => !action.startsWith('dynamodb:'));
  expect(others.filter((action) => /^(s3|kms|ssm|events|cognito-idp):/.test(action))).toEqual([]);
});

test('the reconcile invokes relay and projections by name, without a reference to their stacks', () => {
  const invocations = allowed('reconcilerole').filter(({ Action }) => list(Action).includes('lambda:InvokeFunction'));
  const names = ['listbackup-main-relay', 'listbackup-main-projections'];
  const arns = invocations.flatMap(({ Resource }) => list(Resource)).map((arn) => JSON.stringify(arn));
  expect(arns.sort()).toEqual(names.toSorted().map((name) => expect.stringMatching(new RegExp(`:function:${name}"`))));
  dataAnalysis.hasResourceProperties('AWS::Lambda::Function', {
    Environment: { Variables: Match.objectLike({ RELAY_FUNCTION: names[0], PROJECTIONS_FUNCTION: names[1] }) },
  });
  backupProcessors.hasResourceProperties('AWS::Lambda::Function', { FunctionName: names[0] });
  analytics.hasResourceProperties('AWS::Lambda::Function', { FunctionName: names[1] });
  const references = new Set(JSON.stringify(all).match(/(?<="StackName":")[^"]+/g));
  expect(references).toContain('listbackup-main-core');
  for (const group of ['analytics', 'backup-processors']) expect(references).not.toContain(`listbackup-main-${group}`);
});
