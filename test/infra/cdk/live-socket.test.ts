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

test('its address ends in /live, and every function that needs it is told', () => {
  api.hasResourceProperties('AWS::ApiGatewayV2::Stage', { StageName: 'live', DefaultRouteSettings: Match.anyValue() });
  for (const name of ['api', 'live-push']) {
    const [url] = Object.values(
      api.findResources('AWS::Lambda::Function', { Properties: { FunctionName: functionOf(name) } }),
    ).map(({ Properties }) => JSON.stringify(Properties.Environment.Variables.LIVE_URL));
    expect(url).toMatch(/wss:\/\/.*\/live/);
  }
});

test('a function is asked who comes and told who leaves; what clients say asks nobody', () => {
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

test('all that the bus tells is pushed, with the account it is about', () => {
  api.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: { source: ['listbackup', 'listbackup.live'] },
    Targets: [Match.objectLike({ InputPath: '$.detail' })],
  });
});

test('one function talks to the sockets of this API and of no other, and neither of the two changes anything but its records', () => {
  const statements = policyOf('live-push');
  const talking = statements.filter(({ Action }) => [Action].flat().includes('execute-api:ManageConnections'));
  expect(talking).toHaveLength(1);
  expect(JSON.stringify(talking[0]?.Resource)).toMatch(/LiveApi.*\/live\/\*\/@connections\/\*/);
  for (const name of ['live-push', 'live-connection']) {
    const writing = policyOf(name).filter(({ Action }) =>
      [Action].flat().some((action) => /dynamodb:(Put|Update|Delete|Batch.*Write)/.test(action)),
    );
    expect(writing.length).toBeGreaterThan(0);
    for (const { Resource } of writing) expect(JSON.stringify(Resource)).toMatch(/Tablerecords|Tablesubjectkeys/);
  }
  expect(policyOf('live-connection').flatMap(({ Action }) => Action)).not.toContain('execute-api:ManageConnections');
});
