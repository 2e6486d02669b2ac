/**
 * List prices of us-east-1 in US dollars, on demand, without free tiers, as known in November 2026.
 * DynamoDB has its price since November 2024. SQS is standard, S3 is Standard, and KMS requests are symmetric.
 * EventBridge events are custom, APIs are HTTP APIs, and Lambda runs on arm64.
 *
 * https://aws.amazon.com/dynamodb/pricing/on-demand/
 * https://aws.amazon.com/s3/pricing/
 * https://aws.amazon.com/sqs/pricing/
 * https://aws.amazon.com/eventbridge/pricing/
 * https://aws.amazon.com/kms/pricing/
 * https://aws.amazon.com/lambda/pricing/
 */
import type { Usage } from './usage.ts';

const million = 1e-6;
/** Per request of each kind. Cognito bills monthly users, and standard SSM parameters are free. */
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
  /** Per hour: an interface endpoint in one zone, and a NAT gateway. Traffic costs extra. */
  endpointHour: 0.01,
  natHour: 0.045,
  webAcl: 5,
  webAclRule: 1,
  provisionedGbSecond: 0.000_003_333_4,
  logGb: 0.5,
};

/** Dollars for requests only. Throws for a kind without a price. */
export function dollars(usage: Usage): number {
  return [...usage].reduce((sum, [kind, count]) => {
    const price = perRequest[kind] ?? perRequest[kind.split(' ')[0] ?? ''];
    if (price === undefined) throw new Error(`There is no price for ${kind}.`);
    return sum + count * price;
  }, 0);
}
