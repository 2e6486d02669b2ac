import { LambdaClient } from '@aws-sdk/client-lambda';
import { common, type Environment } from './common.ts';

/** The call returns when the function has finished, which may take its whole five minutes. */
export function lambdaClient(env: Environment, pauseDivisor?: number): LambdaClient {
  return new LambdaClient(common(env, 310_000, 2, pauseDivisor));
}
