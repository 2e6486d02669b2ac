/**
 * The live socket: a WebSocket API, a function for connections, and a function that sends new events to open sockets.
 */
import { Duration, Stack } from 'aws-cdk-lib';
import { WebSocketApi, WebSocketStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { WebSocketLambdaIntegration, WebSocketMockIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { liveSource } from '../aws/bus.ts';
import { accessLog, enableGatewayLogs } from './access-log.ts';
import { acknowledge, withWildcard } from './acknowledge.ts';
import type { CoreStack } from './core-stack.ts';
import { coreEnvironment } from './environment.ts';
import { lambdaFunction } from './function.ts';
import { loadEvents, publish, readLedger, readRows, readSecrets, useKeys, useRecords } from './grants.ts';
import { resourceName, type Stage } from './stage.ts';

/** Returns the address of the socket. `LISTBACKUP_LIVE_URL` replaces AWS's own address, for clients and for pushes. */
export function liveSocket(scope: Stack, stage: Stage, core: CoreStack): { url: string } {
  const environment = coreEnvironment(stage, core);
  const connection = lambdaFunction(scope, stage, {
    entry: 'live-connection',
    description: 'Admits live sockets and removes closed ones',
    memory: 1024, // MB, for speed: its duration delays the opening of the socket
    timeout: Duration.seconds(15),
    environment,
    grants: [...useRecords(core), ...readLedger(core), ...publish(core), ...readSecrets(scope, stage, 'cors-origin')],
  });
  const api = new WebSocketApi(scope, 'LiveApi', {
    apiName: resourceName(stage, 'live'),
    connectRouteOptions: { integration: new WebSocketLambdaIntegration('Connect', connection) },
    disconnectRouteOptions: { integration: new WebSocketLambdaIntegration('Disconnect', connection) },
    // API Gateway ignores messages of clients without calling a function.
    defaultRouteOptions: {
      integration: new WebSocketMockIntegration('Ignored', {
        requestTemplates: { ignored: '{"statusCode":200}' },
        templateSelectionExpression: 'ignored',
      }),
    },
  });
  acknowledge(api, {
    'AwsSolutions-APIG4': 'The function for connections accepts a one-time ticket',
  });
  const live = new WebSocketStage(scope, 'LiveStage', {
    webSocketApi: api,
    stageName: 'live',
    autoDeploy: true,
    throttle: { rateLimit: 500, burstLimit: 1000 },
    // Logging needs a setting of the whole account, which short-lived stage test must not change.
    ...(stage.disposable ? {} : { accessLogSettings: accessLog(scope, stage, 'live') }),
  });
  if (stage.disposable) {
    const reason = 'It needs a setting of the whole account, which stage test must not change';
    acknowledge(live, { 'AwsSolutions-APIG1': reason, 'Serverless-APIGWAccessLogging': reason, CKV_AWS_95: reason });
  } else live.node.addDependency(enableGatewayLogs(scope, api));
  const url = process.env.LISTBACKUP_LIVE_URL ?? live.url;
  pusher(scope, stage, core, { environment: { ...environment, LIVE_URL: url }, api });
  return { url };
}

function pusher(
  scope: Construct,
  stage: Stage,
  core: CoreStack,
  { environment, api }: { environment: { [name: string]: string }; api: WebSocketApi },
): void {
  const sockets = Stack.of(scope).formatArn({
    service: 'execute-api',
    resource: api.apiId,
    resourceName: 'live/*/@connections/*',
  });
  const push = lambdaFunction(scope, stage, {
    entry: 'live-push',
    network: core.network?.outward,
    description: 'Sends new events of an account to its live sockets',
    memory: 1024,
    timeout: Duration.minutes(5),
    environment,
    grants: [
      ...useRecords(core),
      ...readLedger(core),
      ...loadEvents(core),
      ...useKeys(core),
      ...readRows(core),
      ...publish(core),
      withWildcard(
        new PolicyStatement({ actions: ['execute-api:ManageConnections'], resources: [sockets] }),
        'API Gateway creates connection ids at run time',
      ),
    ],
  });
  // Relay and `$connect` function ask for accounts with sockets only. The function reads the ledger, so a late,
  // repeated or lost call does no harm.
  const news = new Rule(scope, 'News', {
    eventBus: core.bus,
    eventPattern: { source: [liveSource] },
    targets: [
      new LambdaTarget(push, {
        event: RuleTargetInput.fromEventPath('$.detail'),
        retryAttempts: 3,
        maxEventAge: Duration.minutes(5),
      }),
    ],
  });
  acknowledge(news, {
    'Serverless-EventBusDLQ':
      'The next event pushes what a lost one did not: the function reads the ledger from its checkpoint',
  });
}
