/** Compares the id index of each backup chain with the newest manifest of the chain. */
import { createHash } from 'node:crypto';
import type { ManifestRef } from '../domain/backup-chain.ts';
import { pathsOfAll } from '../processors/backup/id-index.ts';
import { VaultDamage } from '../vault/damage.ts';
import type { ReaderContext } from '../vault/metadata.ts';
import { entries, openManifest, openNode } from '../vault/reader.ts';
import type { Count, Finding } from './finding.ts';
import { failure } from './finding.ts';
import { reasonOf } from './reading.ts';

/** The index and the manifest that it belongs to. */
export type NamedIndex = { index: ManifestRef; manifest: ManifestRef };

/** `usedMetadata` gets the metadata packs of the indexes. */
export async function* checkIdIndexes(
  context: ReaderContext,
  named: NamedIndex[],
  { count, usedMetadata }: { count: Count; usedMetadata: Set<string> },
): AsyncGenerator<Finding> {
  for (const { index, manifest } of named) {
    count('id-index');
    const fault = (detail: string) => failure('id-index', index.id, detail);
    try {
      const root = await openManifest(context, index);
      for (const pack of [index.id, ...root.nodes.map((node) => node.pack)]) usedMetadata.add(pack);
      for (const ref of root.nodes) {
        const node = await openNode(context, ref);
        for (const { pack } of [node.names, ...node.segments]) usedMetadata.add(pack);
      }
      const [found, expected] = [sumOfPaths(), sumOfPaths()];
      for await (const [id, path] of pathsOfAll(context, root)) found.add(id, path);
      for await (const { id, key } of entries(context, await openManifest(context, manifest)))
        if (id !== undefined) expected.add(id, key);
      if (found.text() !== expected.text()) yield fault(`it does not have the ids and paths of ${manifest.id}`);
    } catch (error) {
      // A damaged manifest is a finding of its own.
      if (!(error instanceof VaultDamage && error.message.includes(manifest.id))) yield fault(reasonOf(error));
    }
  }
}

/** A sum that does not depend on the order. */
function sumOfPaths() {
  let count = 0;
  let sum = 0n;
  return {
    add(id: string, path: string): void {
      count++;
      sum += createHash('sha256').update(`${id}\0${path}`).digest().readBigUInt64BE();
    },
    text: () => `${count} ${sum}`,
  };
}
