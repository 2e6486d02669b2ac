import { SSMClient } from '@aws-sdk/client-ssm';
import { common, type Environment } from './common.ts';

export function ssmClient(env: Environment, pauseDivisor?: number): SSMClient {
  return new SSMClient(common(env, 5000, 5, pauseDivisor));
}
