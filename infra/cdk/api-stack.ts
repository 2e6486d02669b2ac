/** The HTTP API and the one function behind it, and the live socket. */
import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { HttpApi, HttpStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { Construct } from 'constructs';
import { accessLog } from './access-log.ts';
import { acknowledge } from './acknowledge.ts';
import type { AuthStack } from './auth-stack.ts';
import type { CoreStack } from './core-stack.ts';
import { edgeProof } from './edge-proof.ts';
import { environment } from './environment.ts';
import { lambdaFunction } from './function.ts';
import { appendEvents, identify, readLedger, readRows, readSecrets, useKeys, useRecords } from './grants.ts';
import { keptWarm } from './kept-warm.ts';
import { liveSocket } from './live-socket.ts';
import { resourceName, type Stage } from './stage.ts';

export class ApiStack extends Stack {
  readonly http: HttpApi;

  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, auth: AuthStack, props: StackProps) {
    super(scope, id, props);
    const { url: liveUrl } = liveSocket(this, stage, core);
    const handler = lambdaFunction(this, stage, {
      entry: 'api',
      network: core.network?.outward,
      description: 'Answers the REST API',
      memory: 1769, // one whole core
      timeout: Duration.seconds(29), // API Gateway gives up at 30
      environment: {
        ...environment(stage, core, auth),
        LIVE_URL: liveUrl,
        ACCELERATED_LINKS: String(stage.acceleratedLinks),
        ...(stage.edge ? { EDGE_PROOF: edgeProof(core) } : {}),
      },
      grants: [
        ...appendEvents(core),
        ...readLedger(core),
        ...readRows(core),
        ...useRecords(core),
        ...useKeys(core),
        ...readSecrets(this, stage, 'jwt-secret', 'jwt-refresh-secret', 'cors-origin'),
        ...identify(auth),
      ],
    });
    this.http = new HttpApi(this, 'Http', {
      apiName: resourceName(stage, 'api'),
      createDefaultStage: false,
      defaultIntegration: new HttpLambdaIntegration('Function', keptWarm(this, stage, handler)),
    });
    acknowledge(this.http, {
      'AwsSolutions-APIG4': 'The application checks tokens and API keys itself, alike in both homes',
    });
    const live = new HttpStage(this, 'Default', {
      httpApi: this.http,
      stageName: '$default',
      autoDeploy: true,
      // Of the whole stage, to cap what a flood costs; the limits per credential and address are the application's.
      throttle: { rateLimit: 1000, burstLimit: 2000 },
      accessLogSettings: accessLog(this, stage, 'api'),
    });
    new CfnOutput(this, 'Url', { value: live.url });
    new CfnOutput(this, 'LiveUrl', { value: liveUrl });
  }
}
