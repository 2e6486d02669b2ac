/** The SDK's clients as the functions have them, but at hand without waiting: for tests, benchmarks and programs of operators. */
import { cognitoClient } from './clients/cognito.ts';
import type { Environment } from './clients/common.ts';
import { dynamoClient } from './clients/dynamo.ts';
import { eventsClient } from './clients/events.ts';
import { kmsClient } from './clients/kms.ts';
import { lambdaClient } from './clients/lambda.ts';
import { linksClient, s3Client } from './clients/s3.ts';
import { socketsClient } from './clients/sockets.ts';
import { sqsClient } from './clients/sqs.ts';
import { ssmClient } from './clients/ssm.ts';
import type { Clients } from './lazy-clients.ts';

export type AwsClients = ReturnType<typeof awsClients>;

/** Each made when first used. `hurry`: by how much the pauses between attempts are shorter. */
export function awsClients(env: Environment, hurry = 1) {
  const made: { destroy(): void }[] = [];
  const once = <C extends { destroy(): void }>(make: (env: Environment, hurry: number) => C) => {
    let client: C | undefined;
    return () => {
      if (!client) {
        client = make(env, hurry);
        made.push(client);
      }
      return client;
    };
  };
  return {
    dynamo: once(dynamoClient),
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
      for (const client of made) client.destroy();
    },
  } satisfies Clients;
}
