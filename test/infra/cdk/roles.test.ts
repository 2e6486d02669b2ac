import { expect, test } from 'vitest';
import { type Statement, synthesize } from './synth.ts';

const main = synthesize('main');
const forFunctions = main
  .ofType('AWS::IAM::Role')
  .filter(([, { Properties }]) => JSON.stringify(Properties.AssumeRolePolicyDocument).includes('lambda.amazonaws.com'))
  .map(([id]) => id);
const attached = main
  .ofType('AWS::IAM::Policy')
  .filter(([, { Properties }]) => forFunctions.some((role) => JSON.stringify(Properties.Roles).includes(role)));
const policies = attached.map(([id, { Properties }]) => ({
  id,
  statements: Properties.PolicyDocument?.Statement.filter(({ Effect }) => Effect === 'Allow') ?? [],
}));

const list = <T>(value: T | T[] | undefined): T[] => (value === undefined ? [] : ([value].flat() as T[]));
const named = (statement: Statement, part: string) =>
  list(statement.Resource).some((resource) => JSON.stringify(resource).includes(part));
const isTable = (statement: Statement, name: string) =>
  named(statement, `Table${name}`) && !named(statement, 'StreamArn');

test('trust policies for S3 and API Gateway have no conditions, because AWS documents none', () => {
  const copied = synthesize('main', { region: 'eu-central-1', replicaRegions: 'eu-west-1' });
  const trusts = copied
    .ofType('AWS::IAM::Role')
    .flatMap(([, { Properties }]) => (Properties.AssumeRolePolicyDocument as { Statement: Statement[] }).Statement)
    .filter(({ Principal }) => /"(s3|apigateway)\.amazonaws\.com"/.test(JSON.stringify(Principal)));
  expect(trusts.length).toBe(3);
  expect(trusts.filter(({ Condition }) => Condition)).toEqual([]);
});

test('each function has its own role and policy', () => {
  expect(policies).toHaveLength(main.ofType('AWS::Lambda::Function').length);
  const managed = main.ofType('AWS::IAM::Role').filter(([, { Properties }]) => Properties.ManagedPolicyArns);
  // API Gateway refuses a role without this managed policy.
  expect(managed.map(([id]) => id)).toEqual([expect.stringMatching(/^GatewayLogRole/)]);
});

test('no role can update or delete commits of the activity', () => {
  const touching = policies.flatMap(({ id, statements }) =>
    statements.filter((each) => isTable(each, 'activity')).map((each) => ({ id, each })),
  );
  expect(touching.length).toBeGreaterThan(3);
  const reading = ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query', 'dynamodb:PutItem', 'dynamodb:Scan'];
  for (const { id, each } of touching) {
    expect({ id, others: list(each.Action).filter((action) => !reading.includes(action)) }).toEqual({ id, others: [] });
  }
});

test('projections and relay cannot append to the activity', () => {
  const appending = policies.filter(({ statements }) =>
    statements.some((each) => isTable(each, 'activity') && list(each.Action).includes('dynamodb:PutItem')),
  );
  expect(appending.map(({ id }) => id).filter((id) => /relay|projections/.test(id))).toEqual([]);
});

test('only the projections and the reconcile can scan the activity', () => {
  const scanning = policies.filter(({ statements }) =>
    statements.some((each) => isTable(each, 'activity') && list(each.Action).includes('dynamodb:Scan')),
  );
  expect(scanning.map(({ id }) => id.replace(/role.*/, '')).sort()).toEqual(['projections', 'reconcile']);
});

test('only the relay writes the ledger, and it cannot update or delete entries', () => {
  for (const { id, statements } of policies) {
    for (const each of statements.filter((statement) => isTable(statement, 'ledger'))) {
      const writes = list(each.Action).filter((action) => !/:(GetItem|BatchGetItem|Query)$/.test(action));
      expect({ id, writes }).toEqual({ id, writes: id.startsWith('relay') ? ['dynamodb:PutItem'] : [] });
    }
  }
});

test('the reconcile cannot read read models', () => {
  const statements = policies.filter(({ id }) => id.startsWith('reconcile')).flatMap((each) => each.statements);
  for (const name of ['users', 'accounts', 'sources', 'jobs', 'runs', 'files', 'analyticsaggregates'])
    expect([name, statements.filter((each) => isTable(each, name))]).toEqual([name, []]);
});

test('only the projections write read models', () => {
  for (const { id, statements } of policies.filter((each) => !each.id.startsWith('projections'))) {
    for (const name of ['users', 'accounts', 'sources', 'jobs', 'runs', 'files', 'analyticsaggregates', 'cursors']) {
      const writes = statements
        .filter((each) => isTable(each, name))
        .flatMap((each) => list(each.Action).filter((action) => /Put|Update|Delete|Write/.test(action)));
      expect({ id, name, writes }).toEqual({ id, name, writes: [] });
    }
  }
});

test('no statement allows all actions of a service or, where IAM can restrict it, all resources', () => {
  for (const { id, statements } of policies) {
    for (const each of statements) {
      expect([id, list(each.Action).filter((action) => action.includes('*'))]).toEqual([id, []]);
      // IAM cannot restrict these actions to resources.
      const unrestrictable = ['dynamodb:ListStreams', 'xray:PutTelemetryRecords', 'xray:PutTraceSegments'];
      const interfaces = /^ec2:(\w+NetworkInterfaces?|(Una|A)ssignPrivateIpAddresses|DescribeSubnets)$/;
      if (list(each.Resource).includes('*'))
        expect([
          id,
          list(each.Action).filter((action) => !unrestrictable.includes(action) && !interfaces.test(action)),
        ]).toEqual([id, []]);
    }
  }
});

test('functions can read single secrets, not the whole folder', () => {
  const read = policies.flatMap(({ statements }) =>
    statements.filter((each) => list(each.Action).some((action) => action.startsWith('ssm:'))),
  );
  expect(read).not.toHaveLength(0);
  for (const each of read)
    for (const resource of list(each.Resource))
      expect(JSON.stringify(resource)).toMatch(/parameter\/listbackup\/[a-z-]+"/);
});

test('only the functions that do backup work can delete blobs, and only exports, working blobs and keys', () => {
  const mayDelete = policies.flatMap(({ id, statements }) => {
    const deleting = statements.filter((each) => list(each.Action).some((action) => /^s3:Delete/.test(action)));
    for (const each of deleting)
      for (const resource of list(each.Resource)) {
        expect(JSON.stringify(resource)).toMatch(/\/(exports|work|keys)\/\*"/);
        if (JSON.stringify(resource).includes('/keys/*')) expect(id).toMatch(/^sweeperrole/);
      }
    return deleting.map(() => id);
  });
  expect(mayDelete.toSorted()).toEqual([
    expect.stringMatching(/^dataqueuerole/),
    expect.stringMatching(/^jobqueuerole/),
    expect.stringMatching(/^sweeperrole/),
    expect.stringMatching(/^sweeperrole/),
  ]);
});
