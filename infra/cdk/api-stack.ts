/** The HTTP API and the one function behind it. */
import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { HttpApi, HttpStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { Construct } from 'constructs';
import type { AuthStack } from './auth-stack.ts';
import type { CoreStack } from './core-stack.ts';
import { environment } from './environment.ts';
import { lambdaFunction } from './function.ts';
import { appendEvents, deleteBlobs, identify, readLedger, readRows, readSecrets, send, sign, useKeys, useRecords } from './grants.ts';
import { resourceName, type Stage } from './stage.ts';

export class ApiStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, auth: AuthStack, props: StackProps) {
    super(scope, id, props);
    const handler = lambdaFunction(this, stage, {
      entry: 'api',
      description: 'Answers the REST API',
      memory: 1769, // one whole core
      timeout: Duration.seconds(29), // API Gateway gives up at 30
      environment: environment(stage, core, auth),
      grants: [
        ...appendEvents(core),
        ...readLedger(core),
        ...readRows(core),
        ...useRecords(core),
        ...deleteBlobs(core),
        ...useKeys(core),
        ...sign(core),
        ...send(core.jobQueue, core.dataQueue),
        ...readSecrets(this, stage, 'jwt-secret', 'jwt-refresh-secret', 'cors-origin'),
        ...identify(auth),
      ],
    });
    const api = new HttpApi(this, 'Http', {
      apiName: resourceName(stage, 'api'),
      createDefaultStage: false,
      defaultIntegration: new HttpLambdaIntegration('Function', handler),
    });
    const live = new HttpStage(this, 'Default', {
      httpApi: api,
      stageName: '$default',
      autoDeploy: true,
      // Of the whole stage, to cap what a flood costs; the limits per credential and address are the application's.
      throttle: { rateLimit: 1000, burstLimit: 2000 },
    });
    new CfnOutput(this, 'Url', { value: live.url });
    new CfnOutput(this, 'ApiId', { value: api.apiId });
  }
}
