import { ApiGatewayManagementApiClient } from '@aws-sdk/client-apigatewaymanagementapi';
import { required } from '../environment.ts';
import { common, type Environment } from './common.ts';

/** Of the WebSocket API at `LIVE_URL`: sockets are talked to at the address they have, over HTTP. */
export function socketsClient(env: Environment, hurry?: number): ApiGatewayManagementApiClient {
  return new ApiGatewayManagementApiClient({
    ...common(env, 5000, 4, hurry),
    endpoint: required(env, 'LIVE_URL').replace(/^ws/, 'http'),
  });
}
