import type { Template } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { type Statement, synthesize } from './synth.ts';

const stage = {
  open: synthesize('main', { network: 'open' }),
  isolated: synthesize('main'),
  nat: synthesize('main', { network: 'nat' }),
};
const holdsKeys = (statements: Statement[]) => JSON.stringify(statements).includes('kms:Decrypt');

/** Returns function → its network, and whether it may unwrap account keys. */
function functionsOf({ ofType }: ReturnType<typeof synthesize>) {
  const policies = ofType('AWS::IAM::Policy');
  return Object.fromEntries(
    ofType('AWS::Lambda::Function').map(([id, { Properties }]) => {
      const name = String(Properties.FunctionName).replace('listbackup-main-', '');
      const subnets = JSON.stringify(Properties.VpcConfig ?? '');
      const statements = policies
        .filter(([policy]) => policy.startsWith(`${name.replaceAll('-', '')}role`))
        .flatMap(([, policy]) => policy.Properties.PolicyDocument?.Statement ?? []);
      expect({ id, statements }).toEqual({ id, statements: expect.arrayContaining([expect.anything()]) });
      const network = subnets.includes('insideSubnet')
        ? 'inside'
        : subnets.includes('outwardSubnet')
          ? 'outward'
          : 'none';
      return [name, { network, keys: holdsKeys(statements) }];
    }),
  );
}

const endpoints = (template: Template, properties: object) =>
  Object.values(template.findResources('AWS::EC2::VPCEndpoint', { Properties: properties }));

test('functions that call AWS services only run in subnets without internet access', () => {
  const functions = functionsOf(stage.isolated);
  for (const name of ['projections', 'relay', 'sweeper'])
    expect([name, functions[name]?.network]).toEqual([name, 'inside']);
});

test('with a NAT gateway, every function that can unwrap keys runs in the network', () => {
  for (const [name, { network, keys }] of Object.entries(functionsOf(stage.nat)))
    if (keys) expect([name, network]).not.toEqual([name, 'none']);
  expect(functionsOf(stage.nat)['data-queue']).toEqual({ network: 'outward', keys: true });
});

test('an open stage creates no network', () => {
  stage.open.templates.core.resourceCountIs('AWS::EC2::VPC', 0);
  for (const { network } of Object.values(functionsOf(stage.open))) expect(network).toBe('none');
});

test('the inner subnets have routes to the S3 and DynamoDB endpoints only', () => {
  const { core } = stage.isolated.templates;
  core.resourceCountIs('AWS::EC2::Route', 0);
  core.resourceCountIs('AWS::EC2::InternetGateway', 0);
  const routed = Object.values(stage.nat.templates.core.findResources('AWS::EC2::Route'));
  expect(routed.length).toBeGreaterThan(0);
  for (const { Properties } of routed) expect(JSON.stringify(Properties.RouteTableId)).not.toContain('inside');
});

test('endpoint policies allow resources of this stage only', () => {
  const all = endpoints(stage.isolated.templates.core, {});
  expect(all).toHaveLength(5);
  for (const { Properties } of all) {
    const [statement, ...others] = Properties.PolicyDocument.Statement;
    expect(others).toEqual([]);
    const resources = [statement.Resource].flat();
    expect(resources).not.toContain('*');
    for (const resource of resources) expect(JSON.stringify(resource)).toMatch(/Fn::GetAtt/);
  }
});

test('traffic to S3 and DynamoDB bypasses the NAT gateway', () => {
  expect(endpoints(stage.nat.templates.core, { VpcEndpointType: 'Gateway' })).toHaveLength(4);
  stage.nat.templates.core.resourceCountIs('AWS::EC2::NatGateway', 1);
});

test('the stack outputs the fixed IP address, which outlives the NAT gateway', () => {
  const [[id, address] = ['']] = Object.entries(stage.nat.templates.core.findResources('AWS::EC2::EIP'));
  expect(address?.DeletionPolicy).toBe('Retain');
  stage.nat.templates.core.hasResourceProperties('AWS::EC2::NatGateway', {
    AllocationId: { 'Fn::GetAtt': [id, 'AllocationId'] },
  });
  stage.nat.templates.core.hasOutput('FetchesFrom', { Value: { Ref: id } });
});

test('a Deny stops function code from creating network interfaces', () => {
  const statements = Object.values(stage.isolated.templates.analytics.findResources('AWS::IAM::Policy')).flatMap(
    ({ Properties }) => Properties.PolicyDocument.Statement as Statement[],
  );
  const interfaces = statements.filter(({ Action }) => [Action].flat().includes('ec2:CreateNetworkInterface'));
  expect(interfaces).toHaveLength(2);
  const [allow, deny] = interfaces;
  expect(allow).toMatchObject({ Effect: 'Allow' });
  const granted = [allow?.Action ?? []].flat().filter((action) => action.startsWith('ec2:'));
  expect(deny).toMatchObject({ Effect: 'Deny', Action: granted, Resource: '*' });
  expect(JSON.stringify(deny?.Condition)).toMatch(/lambda:SourceFunctionArn.*function:listbackup-main-projections/);
});
