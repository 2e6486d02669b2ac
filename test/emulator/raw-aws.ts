/**
 * Calls services of ministack for which no client is installed. ministack reads the access key of a signature and does
 * not verify it.
 */
import { inject } from 'vitest';

type Answer = { [field: string]: never };

async function call(
  path: string,
  service: string,
  options: { method: string; headers?: { [name: string]: string }; body?: object },
): Promise<Answer> {
  const { endpoint, region } = inject('ministack');
  const credential = `Credential=test/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=none`;
  const response = await fetch(`${endpoint}${path}`, {
    method: options.method,
    headers: { ...options.headers, authorization: `AWS4-HMAC-SHA256 ${credential}` },
    ...(options.body ? { body: JSON.stringify(options.body) } : {}),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${service} ${path} ${response.status} ${text}`);
  return JSON.parse(text) as Answer;
}

const target = (service: string, api: string, version: string) => (action: string, body: object) =>
  call('/', service, {
    method: 'POST',
    headers: { 'x-amz-target': `${api}.${action}`, 'content-type': `application/x-amz-json-${version}` },
    body,
  });

export const logs = target('logs', 'Logs_20140328', '1.1');
export const streams = target('dynamodb', 'DynamoDBStreams_20120810', '1.0');

const mappingsPath = '/2015-03-31/event-source-mappings';

/** Enables or disables the delivery of queue messages to a function. */
export async function takeMessages(functionName: string, Enabled: boolean): Promise<void> {
  const { EventSourceMappings } = (await call(`${mappingsPath}?FunctionName=${functionName}`, 'lambda', {
    method: 'GET',
  })) as unknown as {
    EventSourceMappings: { UUID: string }[];
  };
  if (EventSourceMappings.length === 0) throw new Error(`Function ${functionName} reads no queue. Name one that does.`);
  for (const { UUID } of EventSourceMappings)
    await call(`${mappingsPath}/${UUID}`, 'lambda', { method: 'PUT', body: { Enabled } });
}

/** Enables or disables the schedules of a function. */
export async function startBySchedule(functionName: string, enabled: boolean): Promise<void> {
  const { Schedules } = (await call('/schedules', 'scheduler', { method: 'GET' })) as unknown as {
    Schedules: { Name: string; GroupName: string; Target: { Arn: string } }[];
  };
  const own = Schedules.filter(({ Target }) => Target.Arn.endsWith(`:function:${functionName}`));
  if (own.length === 0) throw new Error(`Function ${functionName} has no schedule. Name one that has.`);
  for (const { Name, GroupName } of own) {
    const schedule = await call(`/schedules/${Name}?groupName=${GroupName}`, 'scheduler', { method: 'GET' });
    await call(`/schedules/${Name}`, 'scheduler', {
      method: 'PUT',
      body: { ...schedule, State: enabled ? 'ENABLED' : 'DISABLED' },
    });
  }
}
