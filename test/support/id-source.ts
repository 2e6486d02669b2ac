/** A source in memory that names entries by ids and lists deltas, like Drive. Tests change it between runs. */
import * as z from 'zod';
import {
  type AnyConnector,
  type DeltaItem,
  type ReadRequest,
  SourceProblem,
  type SourceSession,
} from '../../connectors/connector.ts';
import { interleaved } from '../../connectors/interleaved.ts';
import type { ListItem, SourceEntry } from '../../domain/entry.ts';

type Node = { parent: string | null; name: string; content: string | null; revision: number };

export type IdSource = ReturnType<typeof makeIdSource>;

/** A folder has the content null. Names are unique in a folder. */
export function makeIdSource() {
  const nodes = new Map<string, Node>();
  const trash = new Map<string, Map<string, Node>>();
  /** The changed ids, in order. A cursor is a position in it. */
  const changed: string[] = [];
  let ids = 0;
  const calls = { list: 0, changes: 0, listFolder: 0, read: [] as string[] };
  const faults = {
    ...{ unreadable: new Set<string>(), vanishing: new Set<string>(), expired: false, sameNames: false },
    /** Files that a delta names as failed. */
    failing: new Set<string>(),
    /** A delta names them as skipped, which excludes all entries below. */
    skipped: new Set<string>(),
  };

  const childrenOf = (id: string | null) => [...nodes].filter(([, node]) => node.parent === id).map(([child]) => child);
  const below = (id: string): string[] => childrenOf(id).flatMap((child) => [child, ...below(child)]);
  const nameOf = (node: Node) => (node.content === null ? `${node.name}/` : node.name);
  const pathOf = (id: string): string => {
    const node = nodes.get(id) as Node;
    return `${node.parent === null ? '' : pathOf(node.parent)}${nameOf(node)}`;
  };
  const isFree = (parent: string | null, name: string) =>
    faults.sameNames || !childrenOf(parent).some((id) => nodes.get(id)?.name === name);

  function entryOf(id: string, key: string): SourceEntry {
    const { content, revision } = nodes.get(id) as Node;
    const kind = content === null ? 'folder' : 'file';
    return { key, id, kind, size: content?.length ?? 0, modifiedAt: null, revision: `r${revision}` };
  }

  function itemOf(id: string): DeltaItem {
    const node = nodes.get(id);
    if (!node) return { type: 'gone', id };
    const refusal = { key: nameOf(node), id, code: 'refused', message: 'Refused.' };
    if (faults.skipped.has(id)) return { type: 'skipped', refusal, parent: node.parent };
    if (faults.failing.has(id)) return { type: 'failed', refusal, parent: node.parent };
    return { type: 'entry', entry: entryOf(id, nameOf(node)), parent: node.parent };
  }

  function paged<T>(all: T[], page: string | null, limit: number): { items: T[]; page: string | null } {
    const from = Number(page ?? 0);
    const to = from + limit;
    return { items: all.slice(from, to), page: to < all.length ? String(to) : null };
  }

  const session: SourceSession & Required<Pick<SourceSession, 'deltas'>> = {
    async check() {},
    async list(page, { limit }) {
      calls.list++;
      const since = String(changed.length);
      const all = [...nodes.keys()].map((id): ListItem => ({ type: 'entry', entry: entryOf(id, pathOf(id)) }));
      const answer = paged(all.reverse(), page, limit);
      return { ...answer, since: answer.page === null ? since : null };
    },
    deltas: {
      async list(since, page, { limit }) {
        calls.changes++;
        if (faults.expired) throw new SourceProblem('reset', 'The cursor has expired.');
        // A source may repeat ids, and name children before their folders.
        const answer = paged(changed.slice(Number(since)).map(itemOf).reverse(), page, limit);
        return { ...answer, since: answer.page === null ? String(changed.length) : null };
      },
      async listFolder(id, page, { limit }) {
        calls.listFolder++;
        return paged(childrenOf(id).map(itemOf), page, limit);
      },
    },
    read: (requests) => interleaved(requests, 2, contentOf),
    async look({ key, id = '' }) {
      if (faults.failing.has(id)) throw new SourceProblem('unreadable', 'It cannot be read.');
      return nodes.has(id) && !faults.vanishing.has(id) ? entryOf(id, key) : undefined;
    },
    identity: async () => 'the account',
    async close() {},
  };

  async function* contentOf({ entry: { id = '', revision }, range }: ReadRequest) {
    calls.read.push(id);
    if (faults.vanishing.has(id)) throw new SourceProblem('vanished', 'It is gone.');
    if (faults.unreadable.has(id)) throw new SourceProblem('unreadable', 'It cannot be read.');
    const node = nodes.get(id);
    if (!node || revision !== `r${node.revision}`) throw new SourceProblem('changed', 'It changed.');
    const content = Buffer.from(node.content ?? '');
    yield range ? content.subarray(range.offset, range.offset + range.length) : content;
  }

  const connector: AnyConnector = {
    type: 'folder',
    order: 'any',
    config: z.looseObject({}),
    credentials: undefined,
    open: async () => session,
  };

  return {
    connector,
    session,
    /** From which a delta lists later changes. */
    cursor: () => String(changed.length),
    calls,
    faults,
    ids: () => [...nodes.keys()],
    isFolder: (id: string) => nodes.get(id)?.content === null,
    trashed: () => [...trash.keys()],
    /** Returns the id. Undefined if the name is taken. */
    add(parent: string | null, name: string, content: string | null): string | undefined {
      if (!isFree(parent, name)) return undefined;
      const id = `id/${++ids}`;
      nodes.set(id, { parent, name, content, revision: 1 });
      changed.push(id);
      return id;
    },
    edit(id: string, content: string): void {
      const node = nodes.get(id) as Node;
      nodes.set(id, { ...node, content, revision: node.revision + 1 });
      changed.push(id);
    },
    /** Does nothing if the name is taken, or the folder is below the entry. */
    move(id: string, parent: string | null, name: string): void {
      if (!isFree(parent, name) || parent === id || (parent !== null && below(id).includes(parent))) return;
      nodes.set(id, { ...(nodes.get(id) as Node), parent, name });
      changed.push(id);
    },
    /** The two entries swap their names and folders, unless one is below the other. */
    swap(a: string, b: string): void {
      if (a === b || below(a).includes(b) || below(b).includes(a)) return;
      const [left, right] = [nodes.get(a) as Node, nodes.get(b) as Node];
      if ((left.content === null) !== (right.content === null)) return;
      nodes.set(a, { ...left, parent: right.parent, name: right.name });
      nodes.set(b, { ...right, parent: left.parent, name: left.name });
      changed.push(a, b);
    },
    /** The source names the entry in the next delta. */
    touch: (id: string) => void changed.push(id),
    /** Excludes the entry and all entries below it, or includes them again. */
    skip(id: string): void {
      if (!faults.skipped.delete(id)) faults.skipped.add(id);
      changed.push(id);
    },
    /** The entries that are not skipped. */
    included(): { id: string; path: string; revision: string }[] {
      const isIncluded = (id: string | null): boolean =>
        id === null || (!faults.skipped.has(id) && isIncluded((nodes.get(id) as Node).parent));
      const all = [...nodes].filter(([id]) => isIncluded(id));
      return all.map(([id, { revision }]) => ({ id, path: pathOf(id), revision: `r${revision}` }));
    },
    /** With all that is below it. The delta names the entry alone. */
    remove(id: string): void {
      const all = new Map([id, ...below(id)].map((each) => [each, nodes.get(each) as Node]));
      for (const each of all.keys()) nodes.delete(each);
      trash.set(id, all);
      changed.push(id);
    },
    /** With all that was below it. The delta names the entry alone. */
    restore(id: string): void {
      const all = trash.get(id) as Map<string, Node>;
      const { parent, name } = all.get(id) as Node;
      if ((parent !== null && !nodes.has(parent)) || !isFree(parent, name)) return;
      trash.delete(id);
      for (const [each, node] of all) nodes.set(each, node);
      changed.push(id);
    },
    /** The content of each file by path. */
    files(): { [path: string]: string } {
      const files = [...nodes].filter(([, { content }]) => content !== null);
      return Object.fromEntries(files.map(([id, { content }]) => [pathOf(id), content as string]));
    },
    folders: () => [...nodes].filter(([, { content }]) => content === null).map(([id]) => pathOf(id)),
  };
}
