/** Questions to the logs that come up again, saved for Logs Insights. */
import { LogGroup, QueryDefinition, QueryString } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Stage } from '../stage.ts';
import type { Found } from './found.ts';

const questions: {
  [name: string]: {
    fields?: string[];
    filterStatements?: string[];
    statsStatements?: string[];
    sort?: string;
    limit?: number;
  };
} = {
  'what failed': {
    filterStatements: ['level = "ERROR"'],
    statsStatements: ['count() as times, latest(@timestamp) as last by message, @log'],
    sort: 'times desc',
  },
  'one run (put its id in)': {
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
  'memory that was used': {
    filterStatements: ['@type = "REPORT"'],
    statsStatements: ['max(@maxMemoryUsed) / 1000000 as most, max(@memorySize) / 1000000 as given by @log'],
  },
};

export function saveQueries(scope: Construct, stage: Stage, { functions }: Found): void {
  const logGroups = functions.map(({ name }) => LogGroup.fromLogGroupName(scope, `Log-${name}`, `/aws/lambda/${name}`));
  for (const [name, question] of Object.entries(questions)) {
    new QueryDefinition(scope, name, {
      queryDefinitionName: `listbackup/${stage.name}/${name}`,
      queryString: new QueryString(question),
      logGroups,
    });
  }
}
