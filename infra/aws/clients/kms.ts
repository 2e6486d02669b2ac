import { KMSClient } from '@aws-sdk/client-kms';
import { common, type Environment } from './common.ts';

export function kmsClient(env: Environment, pauseDivisor?: number): KMSClient {
  return new KMSClient(common(env, 5000, 5, pauseDivisor));
}
