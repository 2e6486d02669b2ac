/** The bus, with an archive of its events. */
import { Duration } from 'aws-cdk-lib';
import { EventBus } from 'aws-cdk-lib/aws-events';
import type { Construct } from 'constructs';
import { busSource } from '../aws/bus.ts';
import { resourceName, type Stage } from './stage.ts';

/** The archive keeps events for 30 days, for a replay. The ledger keeps them forever. They carry no personal data. */
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
