import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { synthesize } from './synth.ts';

const { api } = synthesize('main').templates;
const stages = (template: typeof api) =>
  Object.values(template.findResources('AWS::ApiGatewayV2::Stage')).map(({ Properties }) => [
    Properties.StageName,
    JSON.parse(Properties.AccessLogSettings?.Format ?? 'null'),
  ]);

test('every request of both APIs leaves a line of JSON that holds no address, agent, path, query or header of the user', () => {
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

test('the setting of the account under which live sockets are logged outlives the stage, and stage test leaves it alone', () => {
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
  // In an account that never had a gateway AWS takes the setting only once one is there.
  expect(account?.DependsOn).toEqual(
    expect.arrayContaining(
      Object.keys(api.findResources('AWS::ApiGatewayV2::Api', { Properties: { ProtocolType: 'WEBSOCKET' } })),
    ),
  );
  const ofTest = synthesize('test').templates.api;
  ofTest.resourceCountIs('AWS::ApiGateway::Account', 0);
  expect(stages(ofTest).find(([name]) => name === 'live')).toEqual(['live', null]);
});

test('the API answers by an alias, so that a version that is kept warm is the one that answers', () => {
  const [id] = Object.keys(api.findResources('AWS::Lambda::Alias', { Properties: { Name: 'live' } }));
  api.hasResourceProperties('AWS::ApiGatewayV2::Integration', { IntegrationUri: { Ref: id } });
  api.hasResourceProperties('AWS::Lambda::Permission', {
    FunctionName: { Ref: id },
    Principal: 'apigateway.amazonaws.com',
  });
});

test('nothing is kept warm that was not asked for; in prod it grows with what is asked of it', () => {
  api.hasResourceProperties('AWS::Lambda::Alias', { ProvisionedConcurrencyConfig: Match.absent() });
  api.resourceCountIs('AWS::ApplicationAutoScaling::ScalableTarget', 0);
  const prod = synthesize('prod').templates.api;
  prod.hasResourceProperties('AWS::Lambda::Alias', {
    ProvisionedConcurrencyConfig: { ProvisionedConcurrentExecutions: 2 },
  });
  prod.hasResourceProperties('AWS::ApplicationAutoScaling::ScalableTarget', {
    MinCapacity: 2,
    MaxCapacity: 20,
    ScalableDimension: 'lambda:function:ProvisionedConcurrency',
  });
  prod.hasResourceProperties('AWS::ApplicationAutoScaling::ScalingPolicy', {
    TargetTrackingScalingPolicyConfiguration: Match.objectLike({ TargetValue: 0.7 }),
  });
});
