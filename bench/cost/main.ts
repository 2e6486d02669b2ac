/** `npm run bench -- cost`: counts AWS usage on an emulator and writes the tables of docs/cost.md. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { awsClients } from '../../infra/aws/clients.ts';
import { makeStageAt } from '../../test/emulator/aws-stage.ts';
import { startMinistack } from '../../test/emulator/ministack.ts';
import { synthesize } from '../../test/infra/cdk/synth.ts';
import { idleMonth } from './idle.ts';
import { measure } from './measure.ts';
import { costTables } from './report.ts';
import { openStage } from './stage.ts';

const doc = fileURLToPath(new URL('../../docs/cost.md', import.meta.url));
const [begin, end] = ['<!-- counted -->', '<!-- /counted -->'];

/**
 * `work` is a folder for the files. `sizes` are numbers of files, from which it extrapolates to a million. With `write`
 * the tables go into docs/cost.md, else to `say`.
 */
export async function cost(work: string, sizes: number[], write: boolean, say: (line: string) => void): Promise<void> {
  if (sizes.length < 2 || sizes.some((size) => !(size >= 1)))
    throw new Error('--files needs at least two numbers, for example 1000,11000');
  const ministack = await startMinistack();
  const folder = await mkdtemp(join(work, 'cost-'));
  try {
    // The SDK reads region and credentials from the environment
    Object.assign(process.env, ministack.environment);
    const clients = awsClients(ministack.environment);
    const environment = await makeStageAt(clients, ministack.environment);
    const stage = await openStage(clients, environment);
    const measured = await measure(stage, folder, sizes, say);
    await stage.close();
    const idle = ['main', 'prod'].map((name) => ({
      stage: name,
      lines: idleMonth(Object.values(synthesize(name).templates), measured.minute),
    }));
    const tables = costTables(measured, idle);
    if (write) await writeInto(doc, tables);
    else say(tables);
  } finally {
    await ministack.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeInto(file: string, tables: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no markers for the tables`);
  await writeFile(file, `${text.slice(0, from + begin.length)}\n\n${tables}\n\n${text.slice(to)}`);
}
