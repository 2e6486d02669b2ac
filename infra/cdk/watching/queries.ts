/** Saved queries for Logs Insights. */
import { LogGroup, QueryDefinition, QueryString } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Stage } from '../stage.ts';
import type { Watched } from './watched.ts';

const queries: {
  [name: string]: {
    fields?: string[];
    filterStatements?: string[];
    statsStatements?: string[];
    sort?: string;
    limit?: number;
  };
} = {
  errors: {
    filterStatements: ['level = "ERROR"'],
    statsStatements: ['count() as count, latest(@timestamp) as latest by message, @log'],
    sort: 'count desc',
  },
  'one run (insert its id)': {
    fields: ['@timestamp', '@log', 'level', 'message', '@message'],
    filterStatements: ['@message like "run_"'],
    sort: '@timestamp asc',
    limit: 1000,
  },
  'slow calls': {
    fields: ['@timestamp', '@log', '@duration', '@initDuration', '@requestId'],
    filterStatements: ['@type = "REPORT" and @duration > 2000'],
    sort: '@duration desc',
    limit: 100,
  },
  'cold starts': {
    filterStatements: ['@type = "REPORT" and ispresent(@initDuration)'],
    statsStatements: ['count() as starts, avg(@initDuration) as mean, pct(@initDuration, 95) as p95 by @log'],
  },
  'memory use': {
    filterStatements: ['@type = "REPORT"'],
    statsStatements: ['max(@maxMemoryUsed) / 1000000 as used, max(@memorySize) / 1000000 as available by @log'],
  },
};

export function saveQueries(scope: Construct, stage: Stage, { functions }: Watched): void {
  const logGroups = functions.map(({ name }) => LogGroup.fromLogGroupName(scope, `Log-${name}`, `/aws/lambda/${name}`));
  for (const [name, query] of Object.entries(queries)) {
    new QueryDefinition(scope, name, {
      queryDefinitionName: `listbackup/${stage.name}/${name}`,
      queryString: new QueryString(query),
      logGroups,
    });
  }
}
