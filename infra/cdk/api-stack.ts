/** The HTTP API with its one function, and the live socket. */
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
import { liveSocket } from './live-socket.ts';
import { resourceName, type Stage } from './stage.ts';
import { warmAlias } from './warm-alias.ts';

export class ApiStack extends Stack {
  readonly http: HttpApi;

  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, auth: AuthStack, props: StackProps) {
    super(scope, id, props);
    const { url: liveUrl } = liveSocket(this, stage, core);
    const handler = lambdaFunction(this, stage, {
      entry: 'api',
      network: core.network?.outward,
      description: 'Serves the REST API',
      memory: 1769, // MB, one full vCPU
      timeout: Duration.seconds(29), // API Gateway times out after 30
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
      defaultIntegration: new HttpLambdaIntegration('Function', warmAlias(this, stage, handler)),
    });
    acknowledge(this.http, {
      'AwsSolutions-APIG4': 'The application checks tokens and API keys itself, in both deployments',
    });
    const live = new HttpStage(this, 'Default', {
      httpApi: this.http,
      stageName: '$default',
      autoDeploy: true,
      // Caps the cost of a flood for the whole stage. The application limits each credential and address.
      throttle: { rateLimit: 1000, burstLimit: 2000 },
      accessLogSettings: accessLog(this, stage, 'api'),
    });
    new CfnOutput(this, 'Url', { value: live.url });
    new CfnOutput(this, 'LiveUrl', { value: liveUrl });
  }
}
