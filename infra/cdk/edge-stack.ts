/**
 * Optional: CloudFront and a web firewall in front of the API. AWS WAF cannot be attached to an HTTP API directly. The
 * reasons are in docs/adr/edge.md.
 */
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

/** CloudFront accepts web ACLs from this region only. */
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
        // Every response belongs to one user.
        cachePolicy: CachePolicy.CACHING_DISABLED,
        originRequestPolicy: OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        functionAssociations: [{ function: viewerHeaders(this, stage), eventType: FunctionEventType.VIEWER_REQUEST }],
      },
    });
    acknowledge(distribution, {
      'AwsSolutions-CFR1': 'Users can be in any country',
      'AwsSolutions-CFR3':
        'API Gateway logs each request without personal data. CloudFront logs would contain personal data',
      'AwsSolutions-CFR4':
        'The TLS version can only be chosen with a certificate of an own domain, not with that of CloudFront',
    });
    new CfnOutput(this, 'Url', { value: `https://${distribution.distributionDomainName}` });
  }
}

/** Sets headers with the host name that the client called and its IP address, which API Gateway does not see. */
function viewerHeaders(scope: Construct, stage: Stage): EdgeFunction {
  const setHeaders = `h['${hostHeader}']={value:h.host.value};h['${viewerHeader}']={value:event.viewer.ip}`;
  return new EdgeFunction(scope, 'TellViewer', {
    functionName: resourceName(stage, 'tell-viewer'),
    runtime: FunctionRuntime.JS_2_0,
    code: FunctionCode.fromInline(
      `function handler(event){var h=event.request.headers;${setHeaders};return event.request}`,
    ),
  });
}

/** $5 a month, $1 for each of the four rules, $0.60 a million requests. */
function firewall(scope: Construct, stage: Stage): CfnWebACL {
  const visibility = (metricName: string) => ({
    metricName,
    cloudWatchMetricsEnabled: true,
    sampledRequestsEnabled: false,
  });
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
    visibilityConfig: visibility(name),
  });
  return new CfnWebACL(scope, 'Firewall', {
    name: resourceName(stage, 'api'),
    scope: 'CLOUDFRONT',
    defaultAction: { allow: {} },
    visibilityConfig: visibility(resourceName(stage, 'api')),
    rules: [
      {
        name: 'Flood',
        priority: 0,
        action: { block: {} },
        // Requests of one IP address in five minutes: the application's own limit for one credential.
        statement: { rateBasedStatement: { limit: 30_000, aggregateKeyType: 'IP' } },
        visibilityConfig: visibility('Flood'),
      },
      managed('AWSManagedRulesAmazonIpReputationList', 1),
      managed('AWSManagedRulesKnownBadInputsRuleSet', 2),
      // These two rules only count: API bodies may exceed 8 KB, and clients may omit User-Agent.
      managed('AWSManagedRulesCommonRuleSet', 3, ['SizeRestrictions_BODY', 'NoUserAgent_HEADER']),
    ],
  });
}
