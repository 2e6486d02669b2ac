/** Opens the source of a run, and makes sure that it is the listed source. */
import { sha256 } from '../../activity/commit.ts';
import { decrypt } from '../../activity/personal-data.ts';
import { load } from '../../activity/store.ts';
import { getCredentials } from '../../commands/credentials.ts';
import { type AnyConnector, SourceProblem, type SourceSession } from '../../connectors/connector.ts';
import { connectorFor } from '../../connectors/index.ts';
import type { BackupChainState } from '../../domain/backup-chain.ts';
import { isEncrypted, streamName } from '../../domain/event.ts';
import type { JsonObject } from '../../domain/ports.ts';
import { source } from '../../domain/source.ts';
import type { Deployment } from '../deployment.ts';
import type { RunRef } from './run.ts';
import type { Origin, SourceAccess } from './source-access.ts';

/**
 * The current settings and credentials of the source.
 * @throws SourceProblem for the user, also when the settings differ from `origin.settings`
 */
export async function accessSource(
  deployment: Pick<Deployment, 'platform' | 'connectors'>,
  runRef: RunRef,
  origin?: Origin,
): Promise<SourceAccess> {
  const { platform } = deployment;
  const { state } = await load(platform, source, streamName(runRef.account, 'source', runRef.sourceId));
  if (state.status !== 'connected')
    throw new SourceProblem('not-found', 'The source was disconnected. Connect it again.');
  const config = isEncrypted(state.config)
    ? await decrypt<JsonObject>(platform, runRef.account, state.config)
    : state.config;
  const settings = sha256(Buffer.from(JSON.stringify(Object.entries(config ?? {}).sort())));
  if (origin) requireSettings(settings, origin);
  const credentials = await getCredentials(platform, runRef.account, runRef.sourceId);
  const context = deployment.connectors(runRef.account);
  return { type: state.kind, config: config ?? {}, credentials: credentials ?? null, context, settings };
}

/** Throws if the settings changed since the listing. */
export function requireSettings(settings: string, origin: Origin): void {
  if (origin.settings === settings) return;
  throw new SourceProblem('unusable', 'The settings of the source changed during the backup. Run the job again.');
}

/** @throws SourceProblem or Problem for the user */
export async function openSession({ type, config, credentials, context }: SourceAccess): Promise<SourceSession> {
  return requireConnector(type).open(config, credentials ?? undefined, context);
}

export function requireConnector(type: string): AnyConnector {
  const connector = connectorFor(type);
  if (connector) return connector;
  throw new SourceProblem('unusable', `This version cannot back up sources of type ${type}. Update ListBackup.`);
}

/**
 * Throws unless the session is for the source that was listed. An unmounted disk leaves an empty folder, in which every
 * file would count as deleted.
 */
export async function requireSameSource(session: SourceSession, origin: Origin): Promise<void> {
  if (origin.sourceIdentity === null || (await session.identity?.()) === origin.sourceIdentity) return;
  throw new SourceProblem(
    'not-found',
    'Another folder replaced this source during the backup. Put the right one back, then run the job again.',
  );
}

/**
 * Throws when an empty folder has replaced the folder that was backed up before. It is most likely the mount point of a
 * disk that is not mounted.
 */
export function rejectEmptyReplacement(head: BackupChainState['newestRestorePoint'], { sourceIdentity }: Origin): void {
  if (
    !head?.sourceIdentity ||
    head.sourceIdentity === sourceIdentity ||
    head.totals.files + head.totals.folders + head.totals.links === 0
  )
    return;
  throw new SourceProblem(
    'not-found',
    'The folder of this source is empty and is not the folder that was backed up before. Mount the disk that belongs ' +
      'there. If the folder should be empty, put a file into it.',
  );
}
