/**
 * The network of a stage: two zones, subnets without any way out, and doors to the few AWS services that functions there need. Why it is
 * so, and what it costs: docs/adr/network.md.
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

/** Where in the network a function runs. */
export type NetworkPlacement = { vpc: Vpc; subnets: ISubnet[]; securityGroup: SecurityGroup };

export type Network = {
  /** For functions that talk to AWS alone. */
  inside: NetworkPlacement;
  /** For those that must reach the sources of users; undefined: they run in Lambda's own network. */
  outward: NetworkPlacement | undefined;
};

/** What may be reached from inside, by ARN: nothing of another stage or account. */
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
    // One, in one zone: should it go, work waits in the queues until it is back.
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
    // CDK would empty the default group by a function that may change any group; nothing here uses it.
    restrictDefaultSecurityGroup: false,
  });
  logRefusals(scope, stage, vpc);
  const group = (id: string, description: string) =>
    new SecurityGroup(scope, id, {
      vpc,
      description,
      securityGroupName: resourceName(stage, id.toLowerCase()),
      allowAllOutbound: false,
    });
  const inside = group('Inside', 'Functions that talk to AWS alone');
  // To anywhere, and yet no further than the endpoints: the subnets have no other route.
  inside.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'Endpoints of AWS');
  const outward = nat ? group('Outward', 'Functions that fetch from the sources of users') : undefined;
  // Sources listen where they like: SFTP, IMAP, databases.
  outward?.addEgressRule(Peer.anyIpv4(), Port.allTcp(), 'Sources of users');
  makeEndpoints(scope, vpc, reachable);
  return {
    inside: { vpc, subnets: vpc.isolatedSubnets, securityGroup: inside },
    outward: outward && { vpc, subnets: vpc.privateSubnets, securityGroup: outward },
  };
}

/** The address that users let in at their firewalls; it stays theirs when the gateway is made anew. */
function fixedAddress(scope: Construct, stage: Stage): CfnEIP {
  const address = new CfnEIP(scope, 'Address', { domain: 'vpc' });
  if (!stage.disposable) address.applyRemovalPolicy(RemovalPolicy.RETAIN);
  new CfnOutput(scope, 'FetchesFrom', { description: 'The address that sources are fetched from', value: address.ref });
  return address;
}

/** The gateways for S3 and DynamoDB are free; the interfaces are paid by the hour and zone, so there are three and no more. */
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
    // Free too, while what is backed up would cost $0.045 a GB on its way through the gateway. Users' own buckets are reached here as well.
    const outward = [{ subnets: vpc.privateSubnets }];
    vpc.addGatewayEndpoint('AnyBucket', { service: GatewayVpcEndpointAwsService.S3, subnets: outward });
    vpc.addGatewayEndpoint('OutwardTables', { service: GatewayVpcEndpointAwsService.DYNAMODB, subnets: outward });
  }
  const doors = new SecurityGroup(scope, 'Doors', { vpc, description: 'Interface endpoints', allowAllOutbound: false });
  // Nothing runs in the network but functions of the stage.
  doors.addIngressRule(Peer.ipv4(addresses), Port.tcp(443), 'Functions of the stage');
  const interfaces = [
    ['Queues', InterfaceVpcEndpointAwsService.SQS, ['sqs:*'], reachable.queues],
    ['Bus', InterfaceVpcEndpointAwsService.EVENTBRIDGE, ['events:PutEvents'], reachable.buses],
    ['Keys', InterfaceVpcEndpointAwsService.KMS, ['kms:*'], reachable.keys],
  ] as const;
  for (const [id, service, actions, resources] of interfaces) {
    vpc
      .addInterfaceEndpoint(id, {
        service,
        securityGroups: [doors],
        open: false,
        subnets: { subnets: vpc.isolatedSubnets },
      })
      .addToPolicy(only([...actions], resources));
  }
}

/** What was turned away, which in a network of this kind nothing should be. */
function logRefusals(scope: Construct, stage: Stage, vpc: Vpc): void {
  const group = new LogGroup(scope, 'Refused', {
    logGroupName: `/listbackup/${stage.name}/refused-connections`,
    retention: stage.disposable ? RetentionDays.ONE_DAY : RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  acknowledge(group, {
    CKV_AWS_158: 'CloudWatch encrypts it with its own key; there are addresses of the network in it, none of users',
  });
  vpc.addFlowLog('Refusals', {
    destination: FlowLogDestination.toCloudWatchLogs(group),
    trafficType: FlowLogTrafficType.REJECT,
  });
}
