import { ApiGatewayManagementApiClient } from '@aws-sdk/client-apigatewaymanagementapi';
import { required } from '../environment.ts';
import { common, type Environment } from './common.ts';

/** The management API of the WebSocket API at `LIVE_URL`. It has the same address over HTTP. */
export function socketsClient(env: Environment, pauseDivisor?: number): ApiGatewayManagementApiClient {
  return new ApiGatewayManagementApiClient({
    ...common(env, 5000, 4, pauseDivisor),
    endpoint: required(env, 'LIVE_URL').replace(/^ws/, 'http'),
  });
}
