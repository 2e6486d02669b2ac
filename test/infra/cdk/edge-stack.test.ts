import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { synthesize } from './synth.ts';

const main = synthesize('main', { edge: 'true', region: 'eu-west-1', network: 'open' });
const edge = main.stack('edge');

test('a web firewall protects the API and limits the rate of one IP address', () => {
  const [[id] = ['']] = Object.entries(edge.findResources('AWS::WAFv2::WebACL'));
  edge.hasResourceProperties('AWS::WAFv2::WebACL', {
    Scope: 'CLOUDFRONT',
    Rules: Match.arrayWith([
      Match.objectLike({
        Action: { Block: {} },
        Statement: { RateBasedStatement: Match.objectLike({ AggregateKeyType: 'IP' }) },
      }),
    ]),
  });
  edge.hasResourceProperties('AWS::CloudFront::Distribution', {
    DistributionConfig: { WebACLId: { 'Fn::GetAtt': [id, 'Arn'] } },
  });
});

test('CloudFront caches no responses and uses TLS on both sides', () => {
  edge.hasResourceProperties('AWS::CloudFront::Distribution', {
    DistributionConfig: {
      DefaultCacheBehavior: Match.objectLike({
        CachePolicyId: '4135ea2d-6df8-44a3-9df3-4b5a84be39ad', // AWS's CachingDisabled
        ViewerProtocolPolicy: 'https-only',
      }),
      Origins: [Match.objectLike({ CustomOriginConfig: Match.objectLike({ OriginProtocolPolicy: 'https-only' }) })],
    },
  });
});

test('the API expects the header that CloudFront sends, and no header without an edge', () => {
  const proofOf = (stage: typeof main) =>
    stage
      .ofType('AWS::Lambda::Function')
      .filter(([id]) => id.startsWith('api'))
      .map(([, { Properties }]) => Properties.Environment?.Variables.EDGE_PROOF);
  const [expected] = proofOf(main);
  const [distribution] = Object.values(edge.findResources('AWS::CloudFront::Distribution'));
  const [origin] = distribution?.Properties.DistributionConfig.Origins ?? [];
  expect(origin.OriginCustomHeaders).toEqual([{ HeaderName: 'x-listbackup-edge', HeaderValue: expected }]);
  expect(JSON.stringify(expected)).toContain('Fn::GetStackOutput');
  expect(proofOf(synthesize('test'))).toEqual([undefined]);
});

test('CloudFront overwrites the headers with host name and IP address of the client', () => {
  const [code] = Object.values(edge.findResources('AWS::CloudFront::Function')).map(({ Properties }) =>
    String(Properties.FunctionCode),
  );
  const handler = new Function(`${code};return handler`)();
  const headers = { host: { value: 'd1.cloudfront.net' }, 'x-listbackup-viewer': { value: '6.6.6.6' } };
  expect(handler({ viewer: { ip: '192.0.2.1' }, request: { headers } }).headers).toMatchObject({
    'x-listbackup-host': { value: 'd1.cloudfront.net' },
    'x-listbackup-viewer': { value: '192.0.2.1' },
  });
});
