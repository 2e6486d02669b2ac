import { LambdaClient } from '@aws-sdk/client-lambda';
import { common, type Environment } from './common.ts';

/** The answer comes when the function is done, which may take it the five minutes that it has. */
export function lambdaClient(env: Environment, hurry?: number): LambdaClient {
  return new LambdaClient(common(env, 310_000, 2, hurry));
}
