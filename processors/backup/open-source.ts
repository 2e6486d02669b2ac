/** The session with a run's source: its settings from the log, its credentials from where they are kept. */
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
 * What a run lists, so that nothing else is taken for it later: all its steps are of the same settings (as a hash) and, where a source can tell, of
 * the same place that these led to.
 */
export type Origin = { settings: string; sourceIdentity: string | null };

/**
 * The source as it is set up now; `origin`: as what it was listed, when it was.
 * @throws SourceProblem or Problem, saying what to do; also when its settings are others than those of `origin`
 */
export async function openSource(
  deployment: Deployment,
  runRef: RunRef,
  origin?: Origin,
): Promise<{ session: SourceSession; settings: string }> {
  const { platform } = deployment;
  const { state } = await load(platform, source, streamName(runRef.account, 'source', runRef.sourceId));
  if (state.status !== 'connected') throw new SourceProblem('not-found', 'The source was disconnected.');
  const config = isEncrypted(state.config)
    ? await decrypt<JsonObject>(platform, runRef.account, state.config)
    : state.config;
  const settings = sha256(Buffer.from(JSON.stringify(Object.entries(config ?? {}).sort())));
  if (origin && origin.settings !== settings) {
    throw new SourceProblem(
      'unusable',
      'The settings of the source were changed while it was being backed up. Run the job again.',
    );
  }
  const credentials = await getCredentials(platform, runRef.account, runRef.sourceId);
  const connector = connectorFor(state.kind);
  if (!connector) throw new SourceProblem('unusable', `This version cannot back up sources of type ${state.kind}.`);
  return {
    session: await connector.open(config, credentials ?? undefined, deployment.connectors(runRef.account)),
    settings,
  };
}

/** What is at the place is not what was listed: a disk that is not there leads to an empty folder, where everything would pass for deleted. */
export async function mustBeOf(session: SourceSession, origin: Origin): Promise<void> {
  if (origin.sourceIdentity === null || (await session.identity?.()) === origin.sourceIdentity) return;
  throw new SourceProblem(
    'not-found',
    'Another folder took the place of this source while it was being backed up. See that the right one is there, and run the job again.',
  );
}

/** Nothing is there, and it is not what was backed up before: where a disk was mounted there is an empty folder when it is not. */
export function mustBeMeantEmpty(head: BackupChainState['newestRestorePoint'], { sourceIdentity }: Origin): void {
  if (
    !head?.sourceIdentity ||
    head.sourceIdentity === sourceIdentity ||
    head.totals.files + head.totals.folders + head.totals.links === 0
  )
    return;
  throw new SourceProblem(
    'not-found',
    'The folder of this source is empty, and another one than was backed up before. Mount what belongs there; if it is meant to be empty, put a file into it.',
  );
}
