import { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider';
import { common, type Environment } from './common.ts';

export function cognitoClient(env: Environment, pauseDivisor?: number): CognitoIdentityProviderClient {
  return new CognitoIdentityProviderClient(common(env, 10_000, 4, pauseDivisor));
}
