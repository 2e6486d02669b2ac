import { SQSClient } from '@aws-sdk/client-sqs';
import { common, type Environment } from './common.ts';

/** A receive may wait 20 s. An emulator names queues by a host of its own: ask its endpoint instead. */
export function sqsClient(env: Environment, hurry?: number): SQSClient {
  return new SQSClient({ ...common(env, 30_000, 5, hurry), useQueueUrlAsEndpoint: env.AWS_ENDPOINT_URL === undefined });
}
