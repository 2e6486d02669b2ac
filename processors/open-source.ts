/** The session with a run's source: its settings from the log, its credentials from where they are kept. */
import { unseal } from '../activity/seal.ts';
import { load } from '../activity/store.ts';
import { getCredentials } from '../commands/credentials.ts';
import { SourceProblem, type SourceSession } from '../connectors/connector.ts';
import { connectorFor } from '../connectors/index.ts';
import { isSealed, streamName } from '../domain/event.ts';
import type { JsonObject } from '../domain/ports.ts';
import { source } from '../domain/source.ts';
import type { About, Home } from './run.ts';

/** Throws SourceProblem or Problem, saying what to do. */
export async function openSource(home: Home, about: About): Promise<SourceSession> {
  const { machine } = home;
  const { state } = await load(machine, source, streamName(about.account, 'source', about.sourceId));
  if (state.status !== 'connected') throw new SourceProblem('not-found', 'The source was disconnected.');
  const config = isSealed(state.config) ? await unseal<JsonObject>(machine, about.account, state.config) : state.config;
  const credentials = await getCredentials(machine, about.account, about.sourceId);
  const connector = connectorFor(state.kind);
  if (!connector) throw new SourceProblem('unusable', `This version cannot back up sources of type ${state.kind}.`);
  return connector.open(config, credentials ?? undefined, home.connectors(about.account));
}
