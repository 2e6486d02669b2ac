/** The live socket: a WebSocket API, a function at its door, and one that pushes to it what the bus tells of. */
import { Duration, Stack } from 'aws-cdk-lib';
import { WebSocketApi, WebSocketStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { WebSocketLambdaIntegration, WebSocketMockIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { busSource, liveSource } from '../aws/bus.ts';
import { accessLog, letGatewaysLog } from './access-log.ts';
import { acknowledge, anyOf } from './acknowledge.ts';
import type { CoreStack } from './core-stack.ts';
import { coreEnvironment } from './environment.ts';
import { lambdaFunction } from './function.ts';
import { loadEvents, publish, readLedger, readRows, readSecrets, useKeys, useRecords } from './grants.ts';
import { resourceName, type Stage } from './stage.ts';

/** Gives the address of the socket. `LISTBACKUP_LIVE_URL`: when it is reached, and posted to, under another than AWS's. */
export function liveSocket(scope: Stack, stage: Stage, core: CoreStack): { url: string } {
  const environment = coreEnvironment(stage, core);
  const door = lambdaFunction(scope, stage, {
    entry: 'live-connection',
    description: 'Lets live sockets in and forgets those that left',
    memory: 1024, // the time it takes is the time until a socket is open
    timeout: Duration.seconds(15),
    environment,
    grants: [...useRecords(core), ...readLedger(core), ...publish(core), ...readSecrets(scope, stage, 'cors-origin')],
  });
  const api = new WebSocketApi(scope, 'LiveApi', {
    apiName: resourceName(stage, 'live'),
    connectRouteOptions: { integration: new WebSocketLambdaIntegration('Connect', door) },
    disconnectRouteOptions: { integration: new WebSocketLambdaIntegration('Disconnect', door) },
    // What clients send is ignored, without a function being asked.
    defaultRouteOptions: {
      integration: new WebSocketMockIntegration('Ignored', {
        requestTemplates: { ignored: '{"statusCode":200}' },
        templateSelectionExpression: 'ignored',
      }),
    },
  });
  acknowledge(api, {
    'AwsSolutions-APIG4': 'The function at the door lets in who shows a ticket, which is spent there',
  });
  const live = new WebSocketStage(scope, 'LiveStage', {
    webSocketApi: api,
    stageName: 'live',
    autoDeploy: true,
    throttle: { rateLimit: 500, burstLimit: 1000 },
    // On stage test it would change, for the sake of minutes, a setting of the whole account.
    ...(stage.disposable ? {} : { accessLogSettings: accessLog(scope, stage, 'live') }),
  });
  if (stage.disposable) {
    const why = 'It would take a setting of the whole account, which stage test leaves alone';
    acknowledge(live, { 'AwsSolutions-APIG1': why, 'Serverless-APIGWAccessLogging': why, CKV_AWS_95: why });
  } else live.node.addDependency(letGatewaysLog(scope, api));
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
    description: 'Pushes what is new in an account to its live sockets',
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
      anyOf(
        new PolicyStatement({ actions: ['execute-api:ManageConnections'], resources: [sockets] }),
        'A connection has its id from the gateway when it opens',
      ),
    ],
  });
  // The bus tells of a commit when it is in the ledger, which is what is pushed from: a message that comes late, twice or not at all is made up by the next.
  const news = new Rule(scope, 'News', {
    eventBus: core.bus,
    eventPattern: { source: [busSource, liveSource] },
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
      'What was not pushed is pushed with the next news: the ledger is read from where it stopped',
  });
}
