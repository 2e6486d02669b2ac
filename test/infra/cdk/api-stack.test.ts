import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { synthesize } from './synth.ts';

const { api } = synthesize('main').templates;
const stages = (template: typeof api) =>
  Object.values(template.findResources('AWS::ApiGatewayV2::Stage')).map(({ Properties }) => [
    Properties.StageName,
    JSON.parse(Properties.AccessLogSettings?.Format ?? 'null'),
  ]);

test('access logs of both APIs hold no IP address, user agent, path, query or header', () => {
  const lines = stages(api);
  expect(lines.map(([name]) => name).sort()).toEqual(['$default', 'live']);
  for (const [name, line] of lines) {
    expect(line).toMatchObject({ requestId: '$context.requestId', status: '$context.status' });
    expect([name, JSON.stringify(line)]).toEqual([
      name,
      expect.not.stringMatching(/identity|path|query|agent|domain|header|authorizer/i),
    ]);
  }
});

test('the account-wide role for WebSocket logs outlives the stage, and stage test does not set it', () => {
  const [account] = Object.values(api.findResources('AWS::ApiGateway::Account'));
  expect(account?.DeletionPolicy).toBe('Retain');
  api.hasResource('AWS::IAM::Role', {
    DeletionPolicy: 'Retain',
    Properties: {
      AssumeRolePolicyDocument: {
        Statement: [Match.objectLike({ Principal: { Service: 'apigateway.amazonaws.com' } })],
      },
    },
  });
  // AWS refuses the setting in an account without a gateway.
  expect(account?.DependsOn).toEqual(
    expect.arrayContaining(
      Object.keys(api.findResources('AWS::ApiGatewayV2::Api', { Properties: { ProtocolType: 'WEBSOCKET' } })),
    ),
  );
  const ofTest = synthesize('test').templates.api;
  ofTest.resourceCountIs('AWS::ApiGateway::Account', 0);
  expect(stages(ofTest).find(([name]) => name === 'live')).toEqual(['live', null]);
});

test('API Gateway calls the alias, so that requests reach the warm instances', () => {
  const [id] = Object.keys(api.findResources('AWS::Lambda::Alias', { Properties: { Name: 'live' } }));
  api.hasResourceProperties('AWS::ApiGatewayV2::Integration', { IntegrationUri: { Ref: id } });
  api.hasResourceProperties('AWS::Lambda::Permission', {
    FunctionName: { Ref: id },
    Principal: 'apigateway.amazonaws.com',
  });
});

test('only stage prod pays for warm instances', () => {
  api.hasResourceProperties('AWS::Lambda::Alias', { ProvisionedConcurrencyConfig: Match.absent() });
  api.resourceCountIs('AWS::ApplicationAutoScaling::ScalableTarget', 0);
  synthesize('prod').templates.api.hasResourceProperties('AWS::Lambda::Alias', {
    ProvisionedConcurrencyConfig: Match.anyValue(),
  });
});
