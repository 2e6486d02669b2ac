/** Python programs that tests and checks use, each with its pinned packages in a virtual environment under `.venv`. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));

/** A package index that stumbles is asked again for some minutes. */
const patience = ['--retries', '10', '--timeout', '180'];

/**
 * The Python of an environment that holds exactly the packages of `scripts/{name}-requirements.txt`, named by their hash and made when it
 * is not there. Programs are run as its modules (`-m`): their own scripts do not survive the move. Throws with what to do when Python or
 * the package index is missing.
 */
export async function pythonWith(name: string): Promise<string> {
  const requirements = join(root, 'scripts', `${name}-requirements.txt`);
  const pins = await readFile(requirements);
  const venv = join(root, '.venv', `${name}-${createHash('sha256').update(pins).digest('hex').slice(0, 12)}`);
  const python = join(venv, 'bin', 'python');
  if (await exists(python)) return python;
  // Built aside and renamed, so that two test runs at once never see half a venv.
  const building = join(root, '.venv', `building-${name}-${process.pid}`);
  await mkdir(join(root, '.venv'), { recursive: true });
  await step(
    'python3',
    ['-m', 'venv', building],
    `${name} needs Python 3.10 or later with its venv module (on Debian: apt install python3-venv)`,
  );
  await step(
    join(building, 'bin', 'python'),
    ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...patience, '--requirement', requirements],
    `the packages in scripts/${basename(requirements)} could not be installed; is the Python package index reachable?`,
  );
  await rename(building, venv).catch(async (error: unknown) => {
    await rm(building, { recursive: true, force: true });
    if (!(await exists(python))) throw error;
  });
  return python;
}

async function step(command: string, args: string[], advice: string): Promise<void> {
  try {
    await run(command, args, { maxBuffer: 16 << 20 });
  } catch (error) {
    throw new Error(`${advice}\n${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
