/** The SDK's clients, each made when first used and then kept, with their connections. */
import { ApiGatewayManagementApiClient } from '@aws-sdk/client-apigatewaymanagementapi';
import { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { KMSClient } from '@aws-sdk/client-kms';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { SSMClient } from '@aws-sdk/client-ssm';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { required } from './environment.ts';
import { patientRetries } from './retries.ts';

export type AwsClients = {
  dynamo(): DynamoDBClient;
  s3(): S3Client;
  /** Signs links for users, who may be far from the region, and sends nothing itself. */
  links(): S3Client;
  sqs(): SQSClient;
  events(): EventBridgeClient;
  cognito(): CognitoIdentityProviderClient;
  kms(): KMSClient;
  ssm(): SSMClient;
  lambda(): LambdaClient;
  /** Of the WebSocket API at `LIVE_URL`. */
  sockets(): ApiGatewayManagementApiClient;
  /** Closes their connections. */
  close(): void;
};

type Environment = { [name: string]: string | undefined };

/**
 * Region and credentials come from where the SDK always looks; `AWS_ENDPOINT_URL` points all of them elsewhere. `hurry`: for tests, by how
 * much the pauses between attempts are shorter.
 */
export function awsClients(env: Environment, hurry = 1): AwsClients {
  const endpoint = env.AWS_ENDPOINT_URL;
  const made: { destroy(): void }[] = [];
  const lazy = <C extends { destroy(): void }>(make: () => C) => {
    let client: C | undefined;
    return () => {
      if (!client) {
        client = make();
        made.push(client);
      }
      return client;
    };
  };
  const common = (requestTimeout: number, maxAttempts: number, maxSockets = 64) => ({
    ...(endpoint ? { endpoint } : {}),
    maxAttempts,
    retryStrategy: patientRetries(maxAttempts, hurry),
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 2000,
      requestTimeout,
      throwOnRequestTimeout: true,
      // An answer that stops half-way is given up too.
      socketTimeout: requestTimeout,
      httpAgent: { keepAlive: true, maxSockets },
      httpsAgent: { keepAlive: true, maxSockets },
    }),
  });
  return {
    // A healthy DynamoDB answers in milliseconds; a stuck connection is better given up early and tried again.
    dynamo: lazy(() => new DynamoDBClient(common(5000, 6))),
    // Long enough for a pack of 32 MiB on a slow line.
    s3: lazy(() => new S3Client({ ...common(120_000, 5), forcePathStyle: endpoint !== undefined })),
    links: lazy(() => {
      const useAccelerateEndpoint = env.ACCELERATED_LINKS === 'true' && endpoint === undefined;
      return new S3Client({ ...common(5000, 5), forcePathStyle: endpoint !== undefined, useAccelerateEndpoint });
    }),
    // A receive may wait 20 s. An emulator names queues by a host of its own: ask its endpoint instead.
    sqs: lazy(() => new SQSClient({ ...common(30_000, 5), useQueueUrlAsEndpoint: endpoint === undefined })),
    events: lazy(() => new EventBridgeClient(common(5000, 5))),
    cognito: lazy(() => new CognitoIdentityProviderClient(common(10_000, 4))),
    kms: lazy(() => new KMSClient(common(5000, 5))),
    ssm: lazy(() => new SSMClient(common(5000, 5))),
    // The answer comes when the function is done, which may take it the five minutes that it has.
    lambda: lazy(() => new LambdaClient(common(310_000, 2))),
    // Where sockets are talked to has the address they have, over HTTP.
    sockets: lazy(
      () => new ApiGatewayManagementApiClient({ ...common(5000, 4), endpoint: required(env, 'LIVE_URL').replace(/^ws/, 'http') }),
    ),
    close: () => {
      for (const client of made) client.destroy();
    },
  };
}
