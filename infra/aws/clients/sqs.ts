import { SQSClient } from '@aws-sdk/client-sqs';
import { common, type Environment } from './common.ts';

/** A receive may wait 20 s. The emulator's queue URLs have a host that is not reachable, so use the endpoint. */
export function sqsClient(env: Environment, pauseDivisor?: number): SQSClient {
  return new SQSClient({
    ...common(env, 30_000, 5, pauseDivisor),
    useQueueUrlAsEndpoint: env.AWS_ENDPOINT_URL === undefined,
  });
}
