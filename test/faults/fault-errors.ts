/** Errors in the format of each AWS service, for the fault proxy. */
import type { Chaos } from '../../infra/embedded/chaos.ts';
import type { Call, Refusal, Service } from './fault-proxy.ts';

type Answer = { status: number; headers: { [name: string]: string }; body: Buffer };

/** From the API reference of each service: "Common errors" and the service's own. */
const throttles: { [service in Service]: Refusal[] } = {
  dynamodb: [
    { status: 400, code: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException' },
    { status: 400, code: 'com.amazon.coral.availability#ThrottlingException' },
    { status: 400, code: 'com.amazonaws.dynamodb.v20120810#RequestLimitExceeded' },
  ],
  sqs: [{ status: 400, code: 'com.amazonaws.sqs#RequestThrottled' }],
  s3: [{ status: 503, code: 'SlowDown' }],
  events: [{ status: 400, code: 'ThrottlingException' }],
  kms: [{ status: 400, code: 'ThrottlingException' }],
  cognito: [{ status: 400, code: 'TooManyRequestsException' }],
  ssm: [{ status: 400, code: 'ThrottlingException' }],
};

const failures: { [service in Service]: Refusal[] } = {
  dynamodb: [
    { status: 500, code: 'com.amazonaws.dynamodb.v20120810#InternalServerError' },
    { status: 503, code: 'com.amazonaws.dynamodb.v20120810#ServiceUnavailable' },
  ],
  sqs: [
    { status: 500, code: 'InternalFailure' },
    { status: 503, code: 'ServiceUnavailable' },
  ],
  s3: [
    { status: 500, code: 'InternalError' },
    { status: 503, code: 'ServiceUnavailable' },
  ],
  events: [{ status: 500, code: 'InternalException' }],
  kms: [
    { status: 500, code: 'KMSInternalException' },
    { status: 503, code: 'DependencyTimeoutException' },
  ],
  cognito: [{ status: 500, code: 'InternalErrorException' }],
  ssm: [{ status: 500, code: 'InternalServerError' }],
};

export function throttling(call: Call, body: Buffer, chaos: Chaos): Answer {
  if (call.operation === 'TransactWriteItems' && chaos.chance(0.5)) return cancelled(body, chaos);
  return worded(call, pick(throttles[call.service], chaos));
}

export function failure(call: Call, chaos: Chaos): Answer {
  // S3 sends status 200 before it has joined the parts: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
  if (call.operation === 'CompleteMultipartUpload' && chaos.chance(0.5))
    return worded(call, { status: 200, code: 'InternalError' });
  return worded(call, pick(failures[call.service], chaos));
}

/** The answer to a transaction that met a throttled item or another transaction, with a reason for each item. */
function cancelled(body: Buffer, chaos: Chaos): Answer {
  const { TransactItems = [] }: { TransactItems?: unknown[] } = JSON.parse(body.toString());
  const code = chaos.chance(0.5) ? 'ThrottlingError' : 'TransactionConflict';
  const CancellationReasons = TransactItems.map((_, i) =>
    i === 0 ? { Code: code, Message: 'injected' } : { Code: 'None' },
  );
  const __type = 'com.amazonaws.dynamodb.v20120810#TransactionCanceledException';
  return json(400, { __type, message: `Transaction cancelled for specific reasons [${code}]`, CancellationReasons });
}

/** The error in the format of that service. */
export function worded({ service }: Call, { status, code }: Refusal): Answer {
  if (service !== 's3') return json(status, { __type: code, message: 'injected' });
  const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>injected</Message><RequestId>0</RequestId></Error>`;
  return { status, headers: { 'content-type': 'application/xml' }, body: Buffer.from(xml) };
}

function json(status: number, value: object): Answer {
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.0' },
    body: Buffer.from(JSON.stringify(value)),
  };
}

function pick<T>(all: readonly T[], chaos: Chaos): T {
  const [one] = chaos.shuffled([...all]);
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
}
