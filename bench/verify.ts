/** Checks that every file of the corpus is listed and restored correctly, before and after the change. */
import { createHash } from 'node:crypto';
import { download, type File, listFiles } from '../test/acceptance/client.ts';
import type { Corpus } from './corpus.ts';
import { type Product, startProduct } from './listbackup.ts';

export type Verdict = {
  listed: number;
  downloaded: number;
  bytes: number;
  /** Differences, one line per file. */
  wrong: string[];
};

const downloadsAtOnce = 4;

/** Backs up the corpus and downloads all files. Backs up the changed corpus and downloads the changed files. */
export async function verify(corpus: Corpus, data: string, say: (line: string) => void): Promise<Verdict> {
  const product = await startProduct(corpus, { LISTBACKUP_DATA: data, LISTBACKUP_RATE_LIMIT: '0' });
  try {
    const base = await verifyRun(product, corpus.base, new Map(), 'first run', say);
    await corpus.change();
    try {
      const changed = await verifyRun(product, corpus.changed, corpus.base, 'run after the change', say);
      return {
        listed: base.listed + changed.listed,
        downloaded: base.downloaded + changed.downloaded,
        bytes: base.bytes + changed.bytes,
        wrong: [...base.wrong, ...changed.wrong],
      };
    } finally {
      await corpus.revert();
    }
  } finally {
    await product.stop();
  }
}

async function verifyRun(
  product: Product,
  expected: Map<string, string>,
  seen: Map<string, string>,
  name: string,
  say: (line: string) => void,
): Promise<Verdict> {
  const { finished, wallSeconds } = await product.run();
  say(`${name}: ${finished.status} in ${wallSeconds.toFixed(1)} s, ${JSON.stringify(finished.progress)}`);
  const lap = stopwatch();
  const files = (await listFiles(await product.api(), `sourceId=${product.sourceId}&recursive=true`)).filter(
    ({ kind }) => kind === 'file',
  );
  const wrong = compareLists(files, expected);
  say(`${name}: ${files.length} of ${expected.size} files listed in ${lap()} s, ${wrong.length} wrongly`);

  const wanted = files.filter(({ path }) => expected.has(path) && expected.get(path) !== seen.get(path));
  const verdict: Verdict = { listed: files.length, downloaded: 0, bytes: 0, wrong };
  const queue = wanted.values();
  const worker = async () => {
    for (const file of queue) {
      const { response, bytes } = await download(await product.api(), file.id);
      verdict.downloaded += 1;
      verdict.bytes += bytes.length;
      const hash = createHash('sha256').update(bytes).digest('hex');
      if (response.status !== 200) wrong.push(`${file.path}: its download answered ${response.status}`);
      else if (hash !== expected.get(file.path)) wrong.push(`${file.path}: downloaded with sha256 ${hash}`);
    }
  };
  await Promise.all(Array.from({ length: downloadsAtOnce }, worker));
  say(
    `${name}: ${verdict.downloaded} files of ${verdict.bytes} bytes downloaded and compared in ${lap()} s, ${wrong.length} wrong in all`,
  );
  return verdict;
}

/** Seconds since the last call. */
function stopwatch(): () => string {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    return seconds.toFixed(1);
  };
}

/** One line for each file that is missing, listed twice, unknown or listed with a wrong hash. */
export function compareLists(files: Pick<File, 'path' | 'sha256'>[], expected: Map<string, string>): string[] {
  const wrong: string[] = [];
  const listed = new Set<string>();
  for (const { path, sha256 } of files) {
    if (listed.has(path)) wrong.push(`${path}: listed twice`);
    listed.add(path);
    const hash = expected.get(path);
    if (hash === undefined) wrong.push(`${path}: listed, but not in the corpus`);
    else if (hash !== sha256) wrong.push(`${path}: listed with sha256 ${sha256}`);
  }
  for (const path of expected.keys()) if (!listed.has(path)) wrong.push(`${path}: not listed`);
  return wrong;
}
