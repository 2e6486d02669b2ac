/** Opens a session with the source of a run. */
import { sha256 } from '../../activity/commit.ts';
import { decrypt } from '../../activity/personal-data.ts';
import { load } from '../../activity/store.ts';
import { getCredentials } from '../../commands/credentials.ts';
import { SourceProblem, type SourceSession } from '../../connectors/connector.ts';
import { connectorFor } from '../../connectors/index.ts';
import type { BackupChainState } from '../../domain/backup-chain.ts';
import { isEncrypted, streamName } from '../../domain/event.ts';
import type { JsonObject } from '../../domain/ports.ts';
import { source } from '../../domain/source.ts';
import type { Deployment } from '../deployment.ts';
import type { RunRef } from './run.ts';

/**
 * What the run listed: a hash of the source's settings and, where the connector knows it, the source identity. All
 * steps of a run must have the same origin, so that no other folder is taken for the listed one.
 */
export type Origin = { settings: string; sourceIdentity: string | null };

/**
 * Opens the source with its current settings and credentials.
 * @throws SourceProblem or Problem that says what to do, also when the settings differ from those of `origin`
 */
export async function openSource(
  deployment: Deployment,
  runRef: RunRef,
  origin?: Origin,
): Promise<{ session: SourceSession; settings: string }> {
  const { platform } = deployment;
  const { state } = await load(platform, source, streamName(runRef.account, 'source', runRef.sourceId));
  if (state.status !== 'connected')
    throw new SourceProblem('not-found', 'The source was disconnected. Connect it again.');
  const config = isEncrypted(state.config)
    ? await decrypt<JsonObject>(platform, runRef.account, state.config)
    : state.config;
  const settings = sha256(Buffer.from(JSON.stringify(Object.entries(config ?? {}).sort())));
  if (origin && origin.settings !== settings) {
    throw new SourceProblem('unusable', 'The settings of the source changed during the backup. Run the job again.');
  }
  const credentials = await getCredentials(platform, runRef.account, runRef.sourceId);
  const connector = connectorFor(state.kind);
  if (!connector)
    throw new SourceProblem(
      'unusable',
      `This version cannot back up sources of type ${state.kind}. Update ListBackup.`,
    );
  return {
    session: await connector.open(config, credentials ?? undefined, deployment.connectors(runRef.account)),
    settings,
  };
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
