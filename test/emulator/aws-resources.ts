/** Clients and stages for tests on the ministack of this run. */
import { inject } from 'vitest';
import { type AwsClients, awsClients } from '../../infra/aws/clients.ts';
import { makeStageAt } from './aws-stage.ts';

/** Clients for this run's ministack. Sets `process.env`, because the SDK reads credentials and region there. */
export function ministackClients(): AwsClients {
  const { environment } = inject('ministack');
  Object.assign(process.env, environment);
  return awsClients(environment);
}

/** Creates a stage with a unique name. Returns the environment that `openAws` reads. */
export function makeStage(clients: AwsClients): ReturnType<typeof makeStageAt> {
  return makeStageAt(clients, inject('ministack').environment);
}
