/**
 * The SDK's clients for the functions. Each is imported and created at first use, so that a cold start loads little.
 * Only DynamoDB's is loaded at once, because every function needs it.
 */
import type { ApiGatewayManagementApiClient } from '@aws-sdk/client-apigatewaymanagementapi';
import type { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import type { KMSClient } from '@aws-sdk/client-kms';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { SSMClient } from '@aws-sdk/client-ssm';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Environment } from './clients/common.ts';
import { documentClient, dynamoClient } from './clients/dynamo.ts';

type Client<C> = () => C | Promise<C>;

export type Clients = {
  dynamo(): DynamoDBClient;
  /** The document client on `dynamo`. */
  documents(): DynamoDBDocumentClient;
  s3: Client<S3Client>;
  links: Client<S3Client>;
  sqs: Client<SQSClient>;
  events: Client<EventBridgeClient>;
  cognito: Client<CognitoIdentityProviderClient>;
  kms: Client<KMSClient>;
  ssm: Client<SSMClient>;
  lambda: Client<LambdaClient>;
  sockets: Client<ApiGatewayManagementApiClient>;
  /** Closes the connections of all clients. */
  close(): void;
};

export function lazyClients(env: Environment): Clients {
  const closes: (() => void)[] = [];
  const once = <C extends { destroy(): void }>(create: () => Promise<C>) => {
    let client: Promise<C> | undefined;
    return () => {
      client ??= create().then((ready) => {
        closes.push(() => ready.destroy());
        return ready;
      });
      return client;
    };
  };
  let client: DynamoDBClient | undefined;
  let documents: DynamoDBDocumentClient | undefined;
  const dynamo = () => {
    client ??= dynamoClient(env);
    return client;
  };
  return {
    dynamo,
    documents: () => {
      documents ??= documentClient(dynamo());
      return documents;
    },
    s3: once(async () => (await import('./clients/s3.ts')).s3Client(env)),
    links: once(async () => (await import('./clients/s3.ts')).linksClient(env)),
    sqs: once(async () => (await import('./clients/sqs.ts')).sqsClient(env)),
    events: once(async () => (await import('./clients/events.ts')).eventsClient(env)),
    cognito: once(async () => (await import('./clients/cognito.ts')).cognitoClient(env)),
    kms: once(async () => (await import('./clients/kms.ts')).kmsClient(env)),
    ssm: once(async () => (await import('./clients/ssm.ts')).ssmClient(env)),
    lambda: once(async () => (await import('./clients/lambda.ts')).lambdaClient(env)),
    sockets: once(async () => (await import('./clients/sockets.ts')).socketsClient(env)),
    close: () => {
      client?.destroy();
      for (const close of closes) close();
    },
  };
}
