/** All stacks of one stage, one a deploy group. */
import { type App, CliCredentialsStackSynthesizer, type StackProps, Tags } from 'aws-cdk-lib';
import flags from 'aws-cdk-lib/recommended-feature-flags.json' with { type: 'json' };
import { AnalyticsStack } from './analytics-stack.ts';
import { ApiStack } from './api-stack.ts';
import { AuthStack } from './auth-stack.ts';
import { BackupProcessorsStack, type Route } from './backup-processors-stack.ts';
import { CoreStack } from './core-stack.ts';
import { DataAnalysisStack } from './data-analysis-stack.ts';
import { EdgeStack, edgeRegion } from './edge-stack.ts';
import { ReplicaKeysStack, ReplicaStack } from './replica-stacks.ts';
import { type Stage, stackName } from './stage.ts';
import { watch } from './watching/watch.ts';

/** All feature flags of the pinned CDK version. */
export const context = { ...flags };

export type Stacks = {
  core: CoreStack;
  auth: AuthStack;
  api: ApiStack;
  analytics: AnalyticsStack;
  backupProcessors: BackupProcessorsStack;
  dataAnalysis: DataAnalysisStack;
};

export function listbackup(app: App, stage: Stage, routes: Route[]): Stacks {
  const group = (name: string, region = stage.runsIn) => ({
    stackName: stackName(stage, name),
    ...(region ? { env: { region } } : {}),
    // Deploys with the caller's rights. Of the bootstrap stack it uses the asset bucket only, not the roles.
    synthesizer: new CliCredentialsStackSynthesizer(),
    terminationProtection: !stage.disposable,
  });
  const core =
    stage.runsIn === stage.region
      ? coreWithReplicas(app, stage, group)
      : new CoreStack(app, 'core', stage, group('core'));
  const auth = new AuthStack(app, 'auth', stage, core.mail, group('auth'));
  const api = new ApiStack(app, 'api', stage, core, auth, group('api'));
  if (stage.edge) new EdgeStack(app, 'edge', stage, core, api.http, group('edge', edgeRegion));
  const analytics = new AnalyticsStack(app, 'analytics', stage, core, group('analytics'));
  const backupProcessors = new BackupProcessorsStack(
    app,
    'backup-processors',
    stage,
    core,
    routes,
    group('backup-processors'),
  );
  const dataAnalysis = new DataAnalysisStack(app, 'data-analysis', stage, core, group('data-analysis'));
  watch(dataAnalysis, stage, core, api.http);
  Tags.of(app).add('product', 'listbackup');
  Tags.of(app).add('stage', stage.name);
  return { core, auth, api, analytics, backupProcessors, dataAnalysis };
}

/** The core stack in the primary region, with the stacks of its replica regions. Nothing runs in those. */
function coreWithReplicas(app: App, stage: Stage, group: (name: string, region?: string) => StackProps): CoreStack {
  const replicas = stage.replicaRegions.map(
    (region) => new ReplicaStack(app, `replica-${region}`, stage, region, group('replica', region)),
  );
  const core = new CoreStack(app, 'core', stage, group('core'));
  for (const replica of replicas) core.addStackDependency(replica, 'replication needs the target buckets');
  for (const region of stage.replicaRegions) {
    new ReplicaKeysStack(app, `replica-keys-${region}`, stage, core, group('replica-keys', region));
  }
  return core;
}
