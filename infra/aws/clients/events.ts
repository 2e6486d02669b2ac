import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { common, type Environment } from './common.ts';

export function eventsClient(env: Environment, pauseDivisor?: number): EventBridgeClient {
  return new EventBridgeClient(common(env, 5000, 5, pauseDivisor));
}
