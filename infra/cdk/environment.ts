/** The environment variables of the functions, as `openAws` reads them. */
import type { AwsEnvironment } from '../aws/environment.ts';
import type { AuthStack } from './auth-stack.ts';
import type { CoreStack } from './core-stack.ts';
import { type Stage, tablePrefix } from './stage.ts';

type ApiOnly = 'LIVE_URL' | 'ACCELERATED_LINKS';
type CoreEnvironment = Omit<AwsEnvironment, 'USER_POOL_ID' | 'USER_POOL_CLIENT_ID' | ApiOnly> & Settings;
type Settings = { [name in (typeof settings)[number]]?: string };

/** Copied from the environment of the synthesis. `LISTBACKUP_ORIGIN`: the origin of the API, if not AWS's own. */
const settings = [
  'LISTBACKUP_RATE_LIMIT',
  'LISTBACKUP_ALLOW_HOSTS',
  'LISTBACKUP_ORIGIN',
  'LISTBACKUP_GRACE_DAYS',
] as const;

export function coreEnvironment(stage: Stage, core: CoreStack): CoreEnvironment {
  return {
    STAGE: stage.name,
    TABLE_PREFIX: tablePrefix(stage),
    DATA_BUCKET: core.bucket.bucketName,
    KEYS_BUCKET: core.keys.bucketName,
    JOB_QUEUE_URL: core.jobQueue.queueUrl,
    DATA_QUEUE_URL: core.dataQueue.queueUrl,
    EVENT_BUS_NAME: core.bus.eventBusName,
    KEY_ID: core.key.keyArn,
    SIGNING_KEY_ID: core.signingKey.keyArn,
    CONFIRM_EMAIL: String(!stage.disposable),
    ...settingsFrom(process.env),
  };
}

export function environment(
  stage: Stage,
  core: CoreStack,
  auth: AuthStack,
): CoreEnvironment & Omit<AwsEnvironment, ApiOnly> {
  return {
    ...coreEnvironment(stage, core),
    USER_POOL_ID: auth.pool.userPoolId,
    USER_POOL_CLIENT_ID: auth.client.userPoolClientId,
  };
}

function settingsFrom(env: { [name: string]: string | undefined }): Settings {
  return Object.fromEntries(settings.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
