/** Audits the ledger of an account. */
import { commitHash, sha256 } from '../../activity/commit.ts';
import { commitBytes, decode } from '../../activity/decode.ts';
import type { Platform } from '../../domain/ports.ts';
import { openEmbedded } from '../../infra/embedded/platform.ts';
import { silent } from './embedded.ts';

/**
 * The number of events of each type. Throws if the ledger has a gap, or if a commit is missing, changed or not chained
 * to the commit before it in its stream.
 */
export async function auditLedger(platform: Platform, account: string): Promise<{ [type: string]: number }> {
  const entries = await platform.events.ledger(account, { order: 'asc', limit: 10_000 });
  const heads = new Map<string, { version: number; hash: string }>();
  const types: { [type: string]: number } = {};
  for (const [index, entry] of entries.entries()) {
    const head = heads.get(entry.stream) ?? { version: 0, hash: '0'.repeat(64) };
    const [commit] = await platform.events.getMany([entry]);
    const where = `${entry.seq} (${entry.stream} ${entry.version})`;
    if (entry.seq !== index + 1) throw new Error(`gap before ${where}`);
    if (!commit || commit.hash !== entry.hash) throw new Error(`missing commit for ${where}`);
    if (commit.version !== head.version + 1 || commit.prevHash !== head.hash)
      throw new Error(`broken chain at ${where}`);
    const bytesHash = sha256(await commitBytes(platform, commit));
    if (commit.hash !== commitHash(entry.stream, entry.version, head.hash, bytesHash))
      throw new Error(`wrong hash at ${where}`);
    heads.set(entry.stream, commit);
    for (const { type } of await decode(platform, commit)) types[type] = (types[type] ?? 0) + 1;
  }
  return types;
}

/** Audits the ledger of the first account in a data folder that no process uses. */
export async function auditLedgerIn(data: string): Promise<{ [type: string]: number }> {
  const { platform, firstAccount, close } = await openEmbedded({ data, log: silent, routes: [], environment: {} });
  try {
    return await auditLedger(platform, firstAccount() ?? '');
  } finally {
    await close();
  }
}
