/** The monthly cost of an idle stage, from its templates and list prices. */
import type { Template } from 'aws-cdk-lib/assertions';
import { dollars, gbSecond, month } from './prices.ts';
import { times, type Usage } from './usage.ts';

export type Line = { what: string; dollars: number };

type Resource = { Type: string; Properties?: { [name: string]: unknown } };

/** Billed seconds of a function that finds no work. An estimate: times on the emulator are not those of Lambda. */
const idleSeconds = 0.1;
/** Bytes that Lambda logs per invocation: START, END, REPORT. */
const logBytes = 600;
/**
 * Five long polls of 20 seconds for each queue:
 * https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
 */
const pollsAMinute = 15;

/** `minute` is the usage of all functions that run each minute. */
export function idleMonth(templates: Template[], minute: Usage): Line[] {
  const all = templates.flatMap((template) => Object.values<Resource>(template.toJSON().Resources));
  const of = (type: string) => all.filter(({ Type }) => Type === type);
  const count = (type: string) => of(type).length;
  const endpoints = of('AWS::EC2::VPCEndpoint').filter(({ Properties }) => Properties?.VpcEndpointType === 'Interface');
  const zones = endpoints.reduce((sum, { Properties }) => sum + list(Properties?.SubnetIds).length, 0);
  const queues = of('AWS::Lambda::EventSourceMapping').filter(
    ({ Properties }) => Properties?.BisectBatchOnFunctionError === undefined,
  ).length;
  const memory = 1024;
  const eachMinute = minute.get('Lambda') ?? 0;
  const warm = of('AWS::Lambda::Alias').reduce((sum, { Properties }) => {
    const { ProvisionedConcurrentExecutions = 0 } = (Properties?.ProvisionedConcurrencyConfig ?? {}) as {
      ProvisionedConcurrentExecutions?: number;
    };
    return sum + ProvisionedConcurrentExecutions;
  }, 0);
  const rules = of('AWS::WAFv2::WebACL').reduce((sum, { Properties }) => sum + list(Properties?.Rules).length, 0);
  const lines: Line[] = [
    {
      what: `${count('AWS::KMS::Key')} KMS keys (each yearly rotation adds another dollar, twice at most)`,
      dollars: count('AWS::KMS::Key') * month.key,
    },
    { what: `${count('AWS::CloudWatch::Alarm')} alarms`, dollars: count('AWS::CloudWatch::Alarm') * month.alarm },
    {
      what: `${count('AWS::CloudWatch::CompositeAlarm')} composite alarms`,
      dollars: count('AWS::CloudWatch::CompositeAlarm') * month.compositeAlarm,
    },
    {
      what: `${count('AWS::CloudWatch::Dashboard')} dashboards (three of an account are free)`,
      dollars: count('AWS::CloudWatch::Dashboard') * month.dashboard,
    },
    { what: `${eachMinute} functions each minute: their requests`, dollars: dollars(times(minute, month.minutes)) },
    {
      what: `… their compute, at ${idleSeconds * 1000} ms and ${memory} MB`,
      dollars: eachMinute * month.minutes * idleSeconds * (memory / 1024) * gbSecond,
    },
    {
      what: '… the log lines that Lambda writes of them',
      dollars: ((eachMinute * month.minutes * logBytes) / 1e9) * month.logGb,
    },
    {
      what: `${queues} queues that Lambda polls`,
      dollars: dollars(new Map([['SQS', queues * pollsAMinute * month.minutes]])),
    },
    {
      what: `${warm} instances of the API kept warm, 1,769 MB`,
      dollars: warm * (1769 / 1024) * month.hours * 3600 * month.provisionedGbSecond,
    },
    {
      what: `${endpoints.length} interface endpoints in ${zones / Math.max(1, endpoints.length)} zones`,
      dollars: zones * month.endpointHour * month.hours,
    },
    {
      what: `${count('AWS::EC2::NatGateway')} NAT gateways`,
      dollars: count('AWS::EC2::NatGateway') * month.natHour * month.hours,
    },
    {
      what: `${count('AWS::WAFv2::WebACL')} web ACLs with ${rules} rules`,
      dollars: count('AWS::WAFv2::WebACL') * month.webAcl + rules * month.webAclRule,
    },
  ];
  return lines.filter((line) => line.dollars > 0);
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
