import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { common, type Environment } from './common.ts';

/** A healthy DynamoDB answers in milliseconds. A short timeout replaces a stuck connection early. */
export function dynamoClient(env: Environment, pauseDivisor?: number): DynamoDBClient {
  return new DynamoDBClient(common(env, 5000, 6, pauseDivisor));
}

/** The document client, which converts JavaScript values. Close `client`: closing the document client does nothing. */
export function documentClient(client: DynamoDBClient): DynamoDBDocumentClient {
  return DynamoDBDocumentClient.from(client, {
    marshallOptions: { removeUndefinedValues: true, allowImpreciseNumbers: true },
    // A function, because the document client would return integers beyond 2^53 as bigint.
    unmarshallOptions: { wrapNumbers: Number },
  });
}
