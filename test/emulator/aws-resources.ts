/** This run's ministack as tests use it, and stages on it. */
import { inject } from 'vitest';
import { type AwsClients, awsClients } from '../../infra/aws/clients.ts';
import { makeStageAt } from './aws-stage.ts';

/** Clients for this run's ministack. The SDK looks for credentials and region in the process, so they are put there. */
export function ministackClients(): AwsClients {
  const { environment } = inject('ministack');
  Object.assign(process.env, environment);
  return awsClients(environment);
}

/** A stage of its own name with everything in it, and the environment that `openAws` reads. */
export function makeStage(clients: AwsClients): ReturnType<typeof makeStageAt> {
  return makeStageAt(clients, inject('ministack').environment);
}
