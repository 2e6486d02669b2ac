/** Reads zips with an independent library. */
import { buffer } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';
import { type Entry, fromBufferPromise, type ZipFile } from 'yauzl';
import { type Client, until } from '../acceptance/client.ts';

export type Unzipped = {
  name: string;
  content: Buffer;
  kind: 'file' | 'folder' | 'link';
  mode: number;
  modifiedAt: string;
};

/** POSIX file types, in the upper bits of the mode. */
const kinds = new Map<number, Unzipped['kind']>([
  [0o100000, 'file'],
  [0o040000, 'folder'],
  [0o120000, 'link'],
]);

/** Downloads a zip of these paths of a source. Returns its entries. */
export async function zipOf(api: Client, sourceId: string, paths: string[]): Promise<Unzipped[]> {
  const { id } = await api.expect(202, 'POST', '/data/download', { body: { sourceId, paths } });
  const { url } = await until('the zip is ready', async () => {
    const look = await api.expect(200, 'GET', `/data/downloads/${id}`);
    if (look.error) throw new Error(`the zip failed: ${JSON.stringify(look.error)}`);
    return look.status === 'ready' ? look : undefined;
  });
  return unzip(new Uint8Array(await (await fetch(String(url))).arrayBuffer()));
}

/** All entries in order. Checks sizes and checksums. */
export async function unzip(bytes: Uint8Array): Promise<Unzipped[]> {
  const zip = await fromBufferPromise(Buffer.from(bytes), { strictFileNames: true });
  const entries: Unzipped[] = [];
  for await (const entry of zip.eachEntry()) {
    const mode = entry.externalFileAttributes >>> 16;
    const kind = kinds.get(mode & 0o170000);
    if (!kind) throw new Error(`${entry.fileName} has an unknown type`);
    const modifiedAt = entry.getLastModDate().toISOString();
    entries.push({ name: entry.fileName, content: await contentOf(zip, entry), kind, mode: mode & 0o7777, modifiedAt });
  }
  return entries;
}

async function contentOf(zip: ZipFile, entry: Entry): Promise<Buffer> {
  if (entry.fileName.endsWith('/')) return Buffer.alloc(0);
  const content = await buffer(await zip.openReadStreamPromise(entry));
  if (crc32(content) !== entry.crc32) throw new Error(`${entry.fileName} is damaged`);
  return content;
}
