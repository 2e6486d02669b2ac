import { expect, test } from 'vitest';
import { forEmulator, type Template } from './template.ts';

const deny = { Effect: 'Deny', Action: 's3:*', Condition: { Bool: { 'aws:SecureTransport': 'false' } } };
const allow = { Effect: 'Allow', Action: 's3:GetObject' };
const policy = (...Statement: object[]) => ({
  Type: 'AWS::S3::BucketPolicy',
  Properties: { PolicyDocument: { Statement } },
});

test('keeps what the emulator supports unchanged', () => {
  const template: Template = { Resources: { Queue: { Type: 'AWS::SQS::Queue' }, Policy: policy(allow) } };
  expect(forEmulator(template, 'abcd1234')).toEqual({ template, dropped: [] });
});

test('removes a resource of an unknown type and dependencies on it', () => {
  const { template, dropped } = forEmulator(
    {
      Resources: { Past: { Type: 'AWS::Events::Archive' }, Bus: { Type: 'AWS::Events::EventBus', DependsOn: 'Past' } },
    },
    'abcd1234',
  );
  expect(template.Resources).toEqual({ Bus: { Type: 'AWS::Events::EventBus', DependsOn: [] } });
  expect(dropped).toEqual([expect.stringContaining('AWS::Events::Archive Past')]);
});

test.for([
  { Ref: 'Past' },
  { 'Fn::GetAtt': ['Past', 'Arn'] },
  { 'Fn::GetAtt': 'Past.Arn' },
  { 'Fn::Sub': 'x-$'.concat('{Past}') },
])('throws for a reference %j to a removed resource', (reference) => {
  const Resources = {
    Past: { Type: 'AWS::Events::Archive' },
    Rule: { Type: 'AWS::Events::Rule', Properties: { deep: [{ reference }] } },
  };
  expect(() => forEmulator({ Resources }, 'abcd1234')).toThrow('Rule refers to Past');
});

test('removes routes and outputs that refer to a removed resource and keeps others', () => {
  const route = (properties: object) => ({ Type: 'AWS::EC2::Route', Properties: { ...properties } });
  const { template, dropped } = forEmulator(
    {
      Resources: {
        Nat: { Type: 'AWS::EC2::NatGateway' },
        Address: { Type: 'AWS::EC2::EIP' },
        Out: route({ NatGatewayId: { Ref: 'Nat' } }),
        Other: route({ GatewayId: { Ref: 'Internet' } }),
      },
      Outputs: { FetchesFrom: { Value: { Ref: 'Address' } }, Url: { Value: 'x' } },
    },
    'abcd1234',
  );
  expect(template).toEqual({
    Resources: { Other: route({ GatewayId: { Ref: 'Internet' } }) },
    Outputs: { Url: { Value: 'x' } },
  });
  expect(dropped).toHaveLength(4);
});

test('removes an alarm on a computed metric and keeps an alarm on a metric', () => {
  const { template, dropped } = forEmulator(
    {
      Resources: {
        Rate: { Type: 'AWS::CloudWatch::Alarm', Properties: { Metrics: [] } },
        Age: { Type: 'AWS::CloudWatch::Alarm', Properties: { MetricName: 'Age' } },
      },
    },
    'abcd1234',
  );
  expect(Object.keys(template.Resources ?? {})).toEqual(['Age']);
  expect(dropped).toEqual([expect.stringContaining('AWS::CloudWatch::Alarm Rate')]);
});

test('removes the TLS statement of a policy, and a policy that becomes empty', () => {
  const { template } = forEmulator({ Resources: { Mixed: policy(deny, allow), Only: policy(deny) } }, 'abcd1234');
  expect(template.Resources).toEqual({ Mixed: policy(allow) });
});

test('gives the API the requested id', () => {
  const { template, dropped } = forEmulator(
    { Resources: { Api: { Type: 'AWS::ApiGatewayV2::Api', Properties: { Tags: { stage: 'test' } } } } },
    'abcd1234',
  );
  expect(template.Resources?.Api?.Properties).toEqual({ Tags: { stage: 'test', 'ms-custom-id': 'abcd1234' } });
  expect(dropped).toEqual([]);
});

test('gives the WebSocket API its own id', () => {
  const api = (ProtocolType: string) => ({ Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType } });
  const { template } = forEmulator({ Resources: { Http: api('HTTP'), Live: api('WEBSOCKET') } }, 'abcd1234');
  const ids = Object.values(template.Resources ?? {}).map(({ Properties }) => Properties?.Tags);
  expect(ids).toEqual([{ 'ms-custom-id': 'abcd1234' }, { 'ms-custom-id': 'liveabcd1234' }]);
});

test('adds the batch action to a grant of a single message, and nothing else', () => {
  const statements = (Action: string | string[]) => ({
    Policy: { Type: 'AWS::IAM::Policy', Properties: { PolicyDocument: { Statement: [{ Effect: 'Allow', Action }] } } },
  });
  const granted = (Action: string | string[]) =>
    forEmulator({ Resources: statements(Action) }, 'abcd1234').template.Resources;
  expect(granted('sqs:SendMessage')).toEqual(statements(['sqs:SendMessage', 'sqs:SendMessageBatch']));
  expect(granted(['sqs:ReceiveMessage', 's3:GetObject'])).toEqual(statements(['sqs:ReceiveMessage', 's3:GetObject']));
});
