/**
 * The network of a stage: two zones, subnets without a route to the internet, and endpoints for the AWS services that
 * functions there need. Reasons and prices are in docs/adr/network.md.
 */
import { CfnOutput, RemovalPolicy } from 'aws-cdk-lib';
import {
  CfnEIP,
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  type ISubnet,
  NatProvider,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { resourceName, type Stage } from './stage.ts';

/** Where a function runs in the network. */
export type NetworkPlacement = { vpc: Vpc; subnets: ISubnet[]; securityGroup: SecurityGroup };

export type Network = {
  /** For functions that call AWS services only. */
  inside: NetworkPlacement;
  /** For functions that must reach the internet. Undefined: they run in Lambda's own network. */
  outward: NetworkPlacement | undefined;
};

/** ARNs that the inner subnets can reach. They exclude other stages and accounts. */
export type Reachable = { buckets: string[]; tables: string[]; queues: string[]; buses: string[]; keys: string[] };

const zones = 2;
const addresses = '10.71.0.0/16';

export function makeNetwork(scope: Construct, stage: Stage, reachable: Reachable): Network | undefined {
  if (stage.network === 'open') return undefined;
  const nat = stage.network === 'nat';
  const address = nat ? fixedAddress(scope, stage) : undefined;
  const vpc = new Vpc(scope, 'Network', {
    vpcName: resourceName(stage, 'network'),
    ipAddresses: IpAddresses.cidr(addresses),
    maxAzs: zones,
    // One gateway in one zone. If the zone fails, work waits in the queues until it recovers.
    natGateways: nat ? 1 : 0,
    ...(address ? { natGatewayProvider: NatProvider.gateway({ eipAllocationIds: [address.attrAllocationId] }) } : {}),
    subnetConfiguration: [
      { name: 'inside', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 24 },
      ...(nat
        ? [
            { name: 'outward', subnetType: SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 22 },
            { name: 'gateway', subnetType: SubnetType.PUBLIC, cidrMask: 28, mapPublicIpOnLaunch: false },
          ]
        : []),
    ],
    // CDK would restrict the default group with a function that may change any group. No resource uses that group.
    restrictDefaultSecurityGroup: false,
  });
  logRejected(scope, stage, vpc);
  const group = (id: string, description: string) =>
    new SecurityGroup(scope, id, {
      vpc,
      description,
      securityGroupName: resourceName(stage, id.toLowerCase()),
      allowAllOutbound: false,
    });
  const inside = group('Inside', 'Functions that call AWS services only');
  // Any address, but the subnets have routes to the endpoints only.
  inside.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'Endpoints of AWS');
  const outward = nat ? group('Outward', 'Functions that read the sources of users') : undefined;
  // Sources can use any port: SFTP, IMAP, databases.
  outward?.addEgressRule(Peer.anyIpv4(), Port.allTcp(), 'Sources of users');
  makeEndpoints(scope, vpc, reachable);
  return {
    inside: { vpc, subnets: vpc.isolatedSubnets, securityGroup: inside },
    outward: outward && { vpc, subnets: vpc.privateSubnets, securityGroup: outward },
  };
}

/** The address that users allow in their firewalls. It survives a replacement of the gateway. */
function fixedAddress(scope: Construct, stage: Stage): CfnEIP {
  const address = new CfnEIP(scope, 'Address', { domain: 'vpc' });
  if (!stage.disposable) address.applyRemovalPolicy(RemovalPolicy.RETAIN);
  new CfnOutput(scope, 'FetchesFrom', { description: 'The IP address that reads sources', value: address.ref });
  return address;
}

/** Gateway endpoints (S3, DynamoDB) are free. Interface endpoints cost by hour and zone, so there are only three. */
function makeEndpoints(scope: Construct, vpc: Vpc, reachable: Reachable): void {
  const only = (actions: string[], resources: string[]) =>
    new PolicyStatement({ principals: [new AnyPrincipal()], actions, resources });
  const inside = [{ subnets: vpc.isolatedSubnets }];
  const objects = reachable.buckets.map((bucket) => `${bucket}/*`);
  vpc
    .addGatewayEndpoint('Buckets', { service: GatewayVpcEndpointAwsService.S3, subnets: inside })
    .addToPolicy(only(['s3:*'], [...reachable.buckets, ...objects]));
  vpc
    .addGatewayEndpoint('Tables', { service: GatewayVpcEndpointAwsService.DYNAMODB, subnets: inside })
    .addToPolicy(only(['dynamodb:*'], reachable.tables));
  if (vpc.privateSubnets.length > 0) {
    // Free as well. Through the NAT gateway, backup data would cost $0.045 a GB. Buckets of users use this route too.
    const outward = [{ subnets: vpc.privateSubnets }];
    vpc.addGatewayEndpoint('AnyBucket', { service: GatewayVpcEndpointAwsService.S3, subnets: outward });
    vpc.addGatewayEndpoint('OutwardTables', { service: GatewayVpcEndpointAwsService.DYNAMODB, subnets: outward });
  }
  const endpoints = new SecurityGroup(scope, 'Endpoints', {
    vpc,
    description: 'Interface endpoints',
    allowAllOutbound: false,
  });
  // Only functions of the stage run in the network.
  endpoints.addIngressRule(Peer.ipv4(addresses), Port.tcp(443), 'Functions of the stage');
  const interfaces = [
    ['Queues', InterfaceVpcEndpointAwsService.SQS, ['sqs:*'], reachable.queues],
    ['Bus', InterfaceVpcEndpointAwsService.EVENTBRIDGE, ['events:PutEvents'], reachable.buses],
    ['Keys', InterfaceVpcEndpointAwsService.KMS, ['kms:*'], reachable.keys],
  ] as const;
  for (const [id, service, actions, resources] of interfaces) {
    vpc
      .addInterfaceEndpoint(id, {
        service,
        securityGroups: [endpoints],
        open: false,
        subnets: { subnets: vpc.isolatedSubnets },
      })
      .addToPolicy(only([...actions], resources));
  }
}

/** Logs rejected connections. A working stage has none. */
function logRejected(scope: Construct, stage: Stage, vpc: Vpc): void {
  const group = new LogGroup(scope, 'Refused', {
    logGroupName: `/listbackup/${stage.name}/refused-connections`,
    retention: stage.disposable ? RetentionDays.ONE_DAY : RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  acknowledge(group, {
    CKV_AWS_158: 'CloudWatch encrypts it with its own key. It holds addresses of the network, none of users',
  });
  vpc.addFlowLog('Refusals', {
    destination: FlowLogDestination.toCloudWatchLogs(group),
    trafficType: FlowLogTrafficType.REJECT,
  });
}
