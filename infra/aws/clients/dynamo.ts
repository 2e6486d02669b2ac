import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { common, type Environment } from './common.ts';

/** A healthy DynamoDB answers in milliseconds; a stuck connection is better given up early and tried again. */
export function dynamoClient(env: Environment, hurry?: number): DynamoDBClient {
  return new DynamoDBClient(common(env, 5000, 6, hurry));
}
