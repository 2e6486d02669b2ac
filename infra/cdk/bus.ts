/** The bus, and an archive of what ran over it. */
import { Duration } from 'aws-cdk-lib';
import { EventBus } from 'aws-cdk-lib/aws-events';
import type { Construct } from 'constructs';
import { busSource } from '../aws/bus.ts';
import { resourceName, type Stage } from './stage.ts';

/** A month of events, for whoever has to be told again; they carry ids and no personal data. The ledger keeps the same for good. */
export function makeBus(scope: Construct, stage: Stage): EventBus {
  const bus = new EventBus(scope, 'Events', { eventBusName: resourceName(stage, 'events') });
  bus.archive('Archive', {
    archiveName: resourceName(stage, 'events'),
    description: `Events of ListBackup stage ${stage.name}`,
    eventPattern: { source: [busSource] },
    retention: Duration.days(30),
  });
  return bus;
}
