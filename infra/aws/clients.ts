/** The SDK's clients for tests, benchmarks and operators' programs. Unlike lazy-clients.ts, it imports all of them. */
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { cognitoClient } from './clients/cognito.ts';
import type { Environment } from './clients/common.ts';
import { documentClient, dynamoClient } from './clients/dynamo.ts';
import { eventsClient } from './clients/events.ts';
import { kmsClient } from './clients/kms.ts';
import { lambdaClient } from './clients/lambda.ts';
import { linksClient, s3Client } from './clients/s3.ts';
import { socketsClient } from './clients/sockets.ts';
import { sqsClient } from './clients/sqs.ts';
import { ssmClient } from './clients/ssm.ts';
import type { Clients } from './lazy-clients.ts';

export type AwsClients = ReturnType<typeof awsClients>;

/** Each client is created at first use. `pauseDivisor`: the divisor of the pauses between attempts. */
export function awsClients(env: Environment, pauseDivisor = 1) {
  const created: { destroy(): void }[] = [];
  const once = <C extends { destroy(): void }>(create: (env: Environment, pauseDivisor: number) => C) => {
    let client: C | undefined;
    return () => {
      if (!client) {
        client = create(env, pauseDivisor);
        created.push(client);
      }
      return client;
    };
  };
  const dynamo = once(dynamoClient);
  let documents: DynamoDBDocumentClient | undefined;
  return {
    dynamo,
    documents: () => {
      documents ??= documentClient(dynamo());
      return documents;
    },
    s3: once(s3Client),
    links: once(linksClient),
    sqs: once(sqsClient),
    events: once(eventsClient),
    cognito: once(cognitoClient),
    kms: once(kmsClient),
    ssm: once(ssmClient),
    lambda: once(lambdaClient),
    sockets: once(socketsClient),
    close: () => {
      for (const client of created) client.destroy();
    },
  } satisfies Clients;
}
