import { KMSClient } from '@aws-sdk/client-kms';
import { common, type Environment } from './common.ts';

export function kmsClient(env: Environment, hurry?: number): KMSClient {
  return new KMSClient(common(env, 5000, 5, hurry));
}
