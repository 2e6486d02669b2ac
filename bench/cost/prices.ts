/**
 * List prices of us-east-1 in US dollars, on demand, without free tiers, as of November 2026 as far as they were known here: DynamoDB's since its
 * halving in November 2024, SQS standard, S3 Standard, EventBridge custom events, symmetric KMS requests, HTTP APIs, Lambda on arm64.
 * https://aws.amazon.com/dynamodb/pricing/on-demand/, https://aws.amazon.com/s3/pricing/, https://aws.amazon.com/sqs/pricing/,
 * https://aws.amazon.com/eventbridge/pricing/, https://aws.amazon.com/kms/pricing/, https://aws.amazon.com/lambda/pricing/
 */
import type { Usage } from './usage.ts';

const million = 1e-6;
/** Of each kind of request; Cognito bills people a month, and SSM's standard parameters nothing. */
const perRequest: { [kind: string]: number } = {
  WRU: 0.625 * million,
  RRU: 0.125 * million,
  'S3 write': 5 * million,
  'S3 read': 0.4 * million,
  SQS: 0.4 * million,
  EventBridge: 1 * million,
  KMS: 3 * million,
  'API Gateway': 1 * million,
  Lambda: 0.2 * million,
  Cognito: 0,
  SSM: 0,
};

export const gbSecond = 0.000_013_333_4;

export const month = {
  hours: 730,
  minutes: 43_800,
  key: 1,
  alarm: 0.1,
  compositeAlarm: 0.5,
  dashboard: 3,
  /** Of an interface endpoint in one zone, and of a NAT gateway; the bytes come on top. */
  endpointHour: 0.01,
  natHour: 0.045,
  webAcl: 5,
  webAclRule: 1,
  provisionedGbSecond: 0.000_003_333_4,
  logGb: 0.5,
};

/** Dollars for requests alone. Throws for a kind that has no price here. */
export function dollars(usage: Usage): number {
  return [...usage].reduce((sum, [kind, count]) => {
    const price = perRequest[kind] ?? perRequest[kind.split(' ')[0] ?? ''];
    if (price === undefined) throw new Error(`nothing is known of what ${kind} costs`);
    return sum + count * price;
  }, 0);
}
