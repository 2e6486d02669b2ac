/** In front of the API, where a stage asks for it: CloudFront, and the web firewall, which AWS does not let an HTTP API have. docs/adr/edge.md */
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import {
  AllowedMethods,
  CachePolicy,
  Distribution,
  Function as EdgeFunction,
  FunctionCode,
  FunctionEventType,
  FunctionRuntime,
  HttpVersion,
  OriginProtocolPolicy,
  OriginRequestPolicy,
  OriginSslPolicy,
  PriceClass,
  ViewerProtocolPolicy,
} from 'aws-cdk-lib/aws-cloudfront';
import { HttpOrigin } from 'aws-cdk-lib/aws-cloudfront-origins';
import { CfnWebACL } from 'aws-cdk-lib/aws-wafv2';
import type { Construct } from 'constructs';
import { hostHeader, proofHeader, viewerHeader } from '../lambda/edge.ts';
import { acknowledge } from './acknowledge.ts';
import type { CoreStack } from './core-stack.ts';
import { edgeProof } from './edge-proof.ts';
import { resourceName, type Stage } from './stage.ts';

/** CloudFront takes web firewalls from here alone. */
export const edgeRegion = 'us-east-1';

export class EdgeStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, api: HttpApi, props: StackProps) {
    super(scope, id, props);
    const origin = new HttpOrigin(`${api.apiId}.execute-api.${Stack.of(api).region}.${this.urlSuffix}`, {
      protocolPolicy: OriginProtocolPolicy.HTTPS_ONLY,
      originSslProtocols: [OriginSslPolicy.TLS_V1_2],
      customHeaders: { [proofHeader]: edgeProof(core) },
    });
    const distribution = new Distribution(this, 'Edge', {
      comment: `API of ListBackup stage ${stage.name}`,
      webAclId: firewall(this, stage).attrArn,
      httpVersion: HttpVersion.HTTP2_AND_3,
      priceClass: PriceClass.PRICE_CLASS_100,
      defaultBehavior: {
        origin,
        allowedMethods: AllowedMethods.ALLOW_ALL,
        viewerProtocolPolicy: ViewerProtocolPolicy.HTTPS_ONLY,
        // Every answer is somebody's own.
        cachePolicy: CachePolicy.CACHING_DISABLED,
        originRequestPolicy: OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        functionAssociations: [{ function: tellViewer(this, stage), eventType: FunctionEventType.VIEWER_REQUEST }],
      },
    });
    acknowledge(distribution, {
      'AwsSolutions-CFR1': 'Users are everywhere',
      'AwsSolutions-CFR3':
        'The gateway behind it logs each request, without personal data, which the logs of CloudFront are full of',
      'AwsSolutions-CFR4':
        'With the certificate of CloudFront itself the version of TLS cannot be chosen; with one of your own domain it can',
    });
    new CfnOutput(this, 'Url', { value: `https://${distribution.distributionDomainName}` });
  }
}

/** What the gateway could not tell: the name that the client called, and the client's address. */
function tellViewer(scope: Construct, stage: Stage): EdgeFunction {
  const say = `h['${hostHeader}']={value:h.host.value};h['${viewerHeader}']={value:event.viewer.ip}`;
  return new EdgeFunction(scope, 'TellViewer', {
    functionName: resourceName(stage, 'tell-viewer'),
    runtime: FunctionRuntime.JS_2_0,
    code: FunctionCode.fromInline(`function handler(event){var h=event.request.headers;${say};return event.request}`),
  });
}

/** $5 a month, $1 for each of the four rules, $0.60 a million requests. */
function firewall(scope: Construct, stage: Stage): CfnWebACL {
  const seen = (metricName: string) => ({ metricName, cloudWatchMetricsEnabled: true, sampledRequestsEnabled: false });
  const managed = (name: string, priority: number, counted: string[] = []) => ({
    name,
    priority,
    overrideAction: { none: {} },
    statement: {
      managedRuleGroupStatement: {
        vendorName: 'AWS',
        name,
        ruleActionOverrides: counted.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
      },
    },
    visibilityConfig: seen(name),
  });
  return new CfnWebACL(scope, 'Firewall', {
    name: resourceName(stage, 'api'),
    scope: 'CLOUDFRONT',
    defaultAction: { allow: {} },
    visibilityConfig: seen(resourceName(stage, 'api')),
    rules: [
      {
        name: 'Flood',
        priority: 0,
        action: { block: {} },
        // Of one address in five minutes: as much as the application lets one credential do.
        statement: { rateBasedStatement: { limit: 30_000, aggregateKeyType: 'IP' } },
        visibilityConfig: seen('Flood'),
      },
      managed('AWSManagedRulesAmazonIpReputationList', 1),
      managed('AWSManagedRulesKnownBadInputsRuleSet', 2),
      // Bodies of ours may be larger than 8 KB, and programs that back up do not all say who they are.
      managed('AWSManagedRulesCommonRuleSet', 3, ['SizeRestrictions_BODY', 'NoUserAgent_HEADER']),
    ],
  });
}
