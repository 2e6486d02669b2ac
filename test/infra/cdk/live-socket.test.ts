import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { synthesize } from './synth.ts';

const { api } = synthesize('main').templates;
const functionOf = (name: string) => `listbackup-main-${name}`;
const policyOf = (name: string) =>
  Object.entries(api.findResources('AWS::IAM::Policy'))
    .filter(([id]) => id.startsWith(name.replaceAll('-', '')))
    .flatMap(
      ([, { Properties }]) => Properties.PolicyDocument.Statement as { Action: string | string[]; Resource: unknown }[],
    );

test('the socket address ends in /live, and API and push function receive it', () => {
  api.hasResourceProperties('AWS::ApiGatewayV2::Stage', { StageName: 'live', DefaultRouteSettings: Match.anyValue() });
  for (const name of ['api', 'live-push']) {
    const [url] = Object.values(
      api.findResources('AWS::Lambda::Function', { Properties: { FunctionName: functionOf(name) } }),
    ).map(({ Properties }) => JSON.stringify(Properties.Environment.Variables.LIVE_URL));
    expect(url).toMatch(/wss:\/\/.*\/live/);
  }
});

test('a function handles connect and disconnect, and messages of clients call no function', () => {
  const integrations = api.findResources('AWS::ApiGatewayV2::Integration');
  const kind = (routeKey: string) => {
    const [route] = Object.values(
      api.findResources('AWS::ApiGatewayV2::Route', { Properties: { RouteKey: routeKey } }),
    ).filter(({ Properties }) => JSON.stringify(Properties.ApiId).includes('LiveApi'));
    const [, integration] =
      Object.entries(integrations).find(([id]) => JSON.stringify(route?.Properties.Target).includes(id)) ?? [];
    return integration?.Properties.IntegrationType;
  };
  expect(['$connect', '$disconnect', '$default'].map(kind)).toEqual(['AWS_PROXY', 'AWS_PROXY', 'MOCK']);
});

test('only the push function can post, only to sockets of this API, and both write only records and keys', () => {
  const statements = policyOf('live-push');
  const posting = statements.filter(({ Action }) => [Action].flat().includes('execute-api:ManageConnections'));
  expect(posting).toHaveLength(1);
  expect(JSON.stringify(posting[0]?.Resource)).toMatch(/LiveApi.*\/live\/\*\/@connections\/\*/);
  for (const name of ['live-push', 'live-connection']) {
    const writing = policyOf(name).filter(({ Action }) =>
      [Action].flat().some((action) => /dynamodb:(Put|Update|Delete|Batch.*Write)/.test(action)),
    );
    expect(writing.length).toBeGreaterThan(0);
    for (const { Resource } of writing) expect(JSON.stringify(Resource)).toMatch(/Tablerecords|Tablesubjectkeys/);
  }
  expect(policyOf('live-connection').flatMap(({ Action }) => Action)).not.toContain('execute-api:ManageConnections');
});

test('the bus calls the push function only on request, so a commit that nobody listens to calls none', () => {
  const [pushId] = Object.keys(
    api.findResources('AWS::Lambda::Function', { Properties: { FunctionName: functionOf('live-push') } }),
  );
  const patterns = Object.values(api.findResources('AWS::Events::Rule'))
    .filter(({ Properties }) => JSON.stringify(Properties.Targets).includes(`"${pushId}"`))
    .map(({ Properties }) => Properties.EventPattern);
  expect(patterns).toEqual([{ source: ['listbackup.live'] }]);
});
