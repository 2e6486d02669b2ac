/**
 * Flips one byte in each kind of stored data. The doctor finds and names the damage. Users get the original data or a
 * refusal, and nothing else. Rows are the exception: they are copies of the log, so the doctor finds the damage and a
 * rebuild repairs it.
 */
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Checked } from '../../doctor/finding.ts';
import { blobPath } from '../../infra/embedded/blob-path.ts';
import { describeStartError } from '../../infra/embedded/start-error.ts';
import { metadataKey } from '../../vault/metadata.ts';
import { findingsIn } from '../support/check.ts';
import { type Answers, answersOf, type BackedUp, makeBackedUp, openServer } from './backed-up.ts';

let root = '';
let kept: BackedUp;
let ledgerEnd = 0;
let right: Answers;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'listbackup-flipped-'));
  kept = await makeBackedUp(root);
  inDatabase(kept.data, 'listbackup.db', (db) => {
    ledgerEnd = Number(db.prepare('SELECT max(seq) AS seq FROM commits').get()?.seq);
  });
  const answers = await answersIn(await copyOf());
  if (typeof answers === 'string') throw new Error(answers);
  right = answers;
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function copyOf(): Promise<string> {
  const data = await mkdtemp(join(root, 'copy-'));
  await cp(kept.data, data, { recursive: true });
  return data;
}

/** The API's answers over the folder, or the message if the server does not start. */
async function answersIn(data: string): Promise<Answers | string> {
  const deployment = await openServer(data).catch((error) => describeStartError(error));
  if (typeof deployment === 'string') return deployment;
  try {
    return await answersOf(deployment, kept, ledgerEnd);
  } finally {
    await deployment.close();
  }
}

function inDatabase(data: string, file: string, work: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(join(data, file));
  try {
    work(db);
  } finally {
    db.close();
  }
}

/** Changes a column of the first row that matches `where`. Text keeps its length. */
function inTable(table: string, column: string, where: string, flip: (value: Buffer) => void, file = 'listbackup.db') {
  return async (data: string) =>
    inDatabase(data, file, (db) => {
      const triggers = db
        .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?")
        .all(table);
      for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
      const keys = db
        .prepare(`SELECT name FROM pragma_table_info('${table}') WHERE pk > 0`)
        .all()
        .map(({ name }) => String(name));
      const row = db.prepare(`SELECT * FROM ${table} WHERE ${where} LIMIT 1`).get();
      if (!row) throw new Error(`nothing to damage: ${table} where ${where}`);
      const before = row[column];
      const bytes = Buffer.from(before instanceof Uint8Array ? before : String(before));
      const whole = Buffer.from(bytes);
      flip(bytes);
      expect(bytes.equals(whole)).toBe(false);
      const after =
        before instanceof Uint8Array ? bytes : typeof before === 'number' ? Number(bytes.toString()) : bytes.toString();
      const condition = keys.map((key) => `${key} = ?`).join(' AND ');
      const { changes } = db
        .prepare(`UPDATE ${table} SET ${column} = ? WHERE ${condition}`)
        .run(after, ...keys.map((key) => row[key] ?? null));
      expect(changes).toBe(1);
      for (const { sql } of triggers) db.exec(String(sql));
    });
}

/** Changes a byte of a file below the data folder. Negative positions count from the end. */
function inFile(
  folder: string | ((data: string) => string),
  change: number | ((bytes: Buffer) => void),
  choose: (size: number) => boolean = () => true,
) {
  return async (data: string) => {
    const below = join(data, typeof folder === 'string' ? folder : folder(data));
    const names = (await stat(below)).isFile() ? [''] : await readdir(below, { recursive: true });
    const files = await Promise.all(
      names.map(async (name) => ({ path: join(below, name), about: await stat(join(below, name)) })),
    );
    // Take the largest pack: in a small one the byte at 100 is outside of any slot
    const [chosen] = files
      .filter(({ about }) => about.isFile() && choose(about.size))
      .sort((x, y) => y.about.size - x.about.size);
    if (chosen) {
      const bytes = await readFile(chosen.path);
      (typeof change === 'number' ? flipAt(change) : change)(bytes);
      return writeFile(chosen.path, bytes);
    }
    throw new Error('There is no such file to damage.');
  };
}

/** The manifest of the restore point. Concurrent workers may have left other manifests behind. */
const newestManifest = (data: string) => {
  const { manifest } = JSON.parse(
    String(
      one(data, "SELECT data FROM rows WHERE model = 'files' AND sk LIKE 'source#%' ORDER BY sk DESC LIMIT 1").data,
    ),
  );
  return `blobs/${blobPath(metadataKey(String(one(data, 'SELECT account FROM commits LIMIT 1').account), manifest.id))}`;
};
const namedBlob = (data: string) =>
  `blobs/${blobPath(String(one(data, 'SELECT blob FROM commits WHERE blob IS NOT NULL LIMIT 1').blob))}`;

function one(data: string, query: string) {
  const db = new DatabaseSync(join(data, 'listbackup.db'));
  try {
    return db.prepare(query).get() ?? {};
  } finally {
    db.close();
  }
}

/** Flips a bit of that byte. Negative positions count from the end. */
function flipAt(at: number) {
  return (bytes: Buffer) => {
    const condition = at < 0 ? bytes.length + at : at;
    bytes.writeUInt8(bytes.readUInt8(condition) ^ 1, condition);
  };
}
/** Flips a byte `offset` bytes after the first occurrence of the text. */
const flipIn =
  (text: string, behind = 0) =>
  (bytes: Buffer) => {
    const at = bytes.indexOf(text);
    if (at < 0) throw new Error(`no ${text} to damage`);
    flipAt(at + behind)(bytes);
  };

/** Changes a base64 character to another one, so that the length stays. */
const turnAt = (at: number) => (bytes: Buffer) =>
  void bytes.write(bytes.toString('latin1', at, at + 1) === 'A' ? 'B' : 'A', at);

/** `unstartable` is the message of a server that refuses to start. */
type Case = {
  name: string;
  found: Checked;
  /** The finding is an info: backups do not use the damaged record. */
  harmless?: true;
  damage: (data: string) => Promise<void>;
  unseen?: true;
  unstartable?: string;
};
const another = 'Restore the right keys.json';

const cases: Case[] = [
  { name: 'a slot of a pack', found: 'pack-slot', damage: inFile('blobs/packs', 100) },
  { name: 'the header of a slot', found: 'pack-slot', damage: inFile('blobs/packs', 1) },
  { name: 'the footer of a pack', found: 'pack-footer', damage: inFile('blobs/packs', -20) },
  { name: 'the trailer of a pack', found: 'pack-footer', damage: inFile('blobs/packs', -2) },
  { name: 'a segment of a manifest', found: 'segment', damage: inFile(newestManifest, 40) },
  { name: 'the root of a manifest', found: 'manifest', damage: inFile(newestManifest, -20) },
  { name: 'the trailer of a manifest', found: 'manifest', damage: inFile(newestManifest, -10) },
  { name: 'the blob of a commit', found: 'commit-blob', damage: inFile(namedBlob, 1000) },
  { name: 'a page of errors', found: 'error-page', damage: inFile('blobs/errors', 50) },
  { name: 'a zip', found: 'export', damage: inFile('blobs/exports', 50) },

  {
    name: 'the bytes of a commit',
    found: 'commit',
    damage: inTable('commits', 'bytes', 'CAST(bytes AS TEXT) LIKE \'%"manifest"%\'', flipIn('"manifest"', 20)),
  },
  {
    name: 'the time of a commit',
    found: 'commit',
    damage: inTable('commits', 'at', "stream LIKE '%/job/%'", flipAt(18)),
  },
  {
    name: 'the hash of a commit',
    found: 'commit',
    damage: inTable('commits', 'hash', "stream LIKE '%/job/%'", flipAt(5)),
  },
  {
    name: 'the hash before a commit',
    found: 'commit',
    damage: inTable('commits', 'prev_hash', "stream LIKE '%/backup-chain/%' AND version = 2", flipAt(5)),
  },
  {
    name: 'the stream of a commit',
    found: 'commit',
    damage: inTable('commits', 'stream', "stream LIKE '%/job/%'", flipAt(-1)),
  },
  {
    name: 'the blob that a commit names',
    found: 'commit-blob',
    damage: inTable('commits', 'blob', 'blob IS NOT NULL', flipAt(-1)),
  },
  {
    name: 'a time in the ledger',
    found: 'ledger',
    damage: inTable('commits', 'ledger_at', "stream LIKE '%/job/%'", flipAt(18)),
  },
  {
    name: 'a number in the ledger',
    found: 'ledger',
    damage: inTable('commits', 'seq', 'seq = (SELECT max(seq) FROM commits)', (bytes) => bytes.fill('9')),
  },
  {
    name: 'the account of the last commit in the ledger',
    found: 'ledger',
    unseen: true,
    damage: inTable('commits', 'account', 'seq = (SELECT max(seq) FROM commits)', flipAt(-1)),
  },

  {
    name: 'the chunk index',
    found: 'chunk-index',
    damage: inTable('chunks', 'length', 'true', (bytes) => bytes.fill(bytes[0] === 0x39 ? '8' : '9'), 'chunk-index.db'),
  },
  {
    name: 'the pack in the chunk index',
    found: 'chunk-index',
    harmless: true,
    damage: inTable('packs', 'id', 'true', flipAt(9), 'chunk-index.db'),
  },
  {
    name: 'the size of a registered pack',
    found: 'pack-registry',
    damage: inTable('records', 'data', "pk LIKE 'packs/%'", flipIn('"bytes":', 8)),
  },
  {
    name: 'credentials',
    found: 'credentials',
    damage: inTable('records', 'data', "pk LIKE 'credentials#%'", flipIn('"$encrypted":"', 30)),
  },
  {
    name: 'the key of an account',
    found: 'key',
    damage: inTable('keys', 'wrapped', "subject = ''", flipAt(20)),
    unstartable: another,
  },
  { name: 'the key of a source', found: 'key', damage: inTable('keys', 'wrapped', "subject LIKE 'src_%'", flipAt(20)) },
  { name: 'the key file', found: 'key', damage: inFile('keys.json', turnAt(20)), unstartable: another },
  {
    name: 'the syntax of the key file',
    found: 'key-file',
    damage: inFile('keys.json', 0),
    unstartable: another,
  },

  {
    name: 'a row of runs',
    found: 'row',
    unseen: true,
    damage: inTable('rows', 'data', "model = 'runs' AND sk LIKE 'id#%'", flipIn('"outcome":"', 12)),
  },
  {
    name: 'a row of files',
    found: 'row',
    unseen: true,
    damage: inTable('rows', 'data', "model = 'files' AND sk LIKE 'source#%'", flipIn('"runId":"', 15)),
  },
  {
    name: 'an encrypted field of a row',
    found: 'row',
    unseen: true,
    damage: inTable('rows', 'data', "model = 'jobs' AND sk LIKE 'id#%'", flipIn('"$encrypted":"', 20)),
  },
  {
    name: 'the key of a row',
    found: 'row',
    unseen: true,
    damage: inTable('rows', 'sk', "model = 'sources' AND sk LIKE 'id#%'", flipAt(-1)),
  },
  {
    name: 'the partition of a row',
    found: 'row',
    unseen: true,
    damage: inTable('rows', 'pk', "model = 'sources' AND sk LIKE 'id#%'", flipAt(-1)),
  },
  {
    name: 'a number of a row',
    found: 'row',
    unseen: true,
    damage: inTable(
      'rows',
      'data',
      "model = 'analytics-aggregates' AND sk LIKE 'backup-chain#%'",
      flipIn('"runs":', 7),
    ),
  },
  {
    name: 'a cursor',
    found: 'cursor',
    unseen: true,
    damage: inTable('cursors', 'version', "projection = 'runs'", (bytes) => bytes.fill('9')),
  },
];

describe('one flipped byte in', () => {
  it.each(cases)('$name', async ({ found, damage, unseen, unstartable, harmless }) => {
    const data = await copyOf();
    await damage(data);

    const findings = await findingsIn(data);
    const severity = harmless ? 'info' : 'failure';
    expect(findings).toContainEqual(expect.objectContaining({ severity, what: found }));

    const answers = await answersIn(data);
    expect(typeof answers === 'string').toBe(unstartable !== undefined);
    if (typeof answers === 'string') return expect(answers).toContain(unstartable);
    for (const [asked, answer] of answers) {
      if (!unseen && answer !== 'refused') expect(answer === right.get(asked), `another answer to ${asked}`).toBe(true);
    }
    await rm(data, { recursive: true });
  });
});
