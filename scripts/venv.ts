/** Virtual environments under `.venv` for the Python programs of tests and checks, with pinned packages. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));

/** Retries for several minutes if the package index fails. */
const retryOptions = ['--retries', '10', '--timeout', '180'];

/**
 * Returns the Python of an environment with exactly the packages of `scripts/{name}-requirements.txt`. Creates it on
 * first use, under the hash of that file. Run programs as modules (`-m`), because scripts break when the environment
 * moves. Throws an error with instructions if Python or the package index is missing.
 */
export async function pythonWith(name: string): Promise<string> {
  const requirements = join(root, 'scripts', `${name}-requirements.txt`);
  const pins = await readFile(requirements);
  const venv = join(root, '.venv', `${name}-${createHash('sha256').update(pins).digest('hex').slice(0, 12)}`);
  const python = join(venv, 'bin', 'python');
  if (await exists(python)) return python;
  // Built under another name, so that a concurrent test run never sees half an environment.
  const building = join(root, '.venv', `building-${name}-${process.pid}`);
  await mkdir(join(root, '.venv'), { recursive: true });
  await step(
    'python3',
    ['-m', 'venv', building],
    `${name} needs Python 3.10 or later with the venv module. On Debian: apt install python3-venv`,
  );
  await step(
    join(building, 'bin', 'python'),
    ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...retryOptions, '--requirement', requirements],
    `The packages in scripts/${basename(requirements)} could not be installed. Check the connection to the Python package index.`,
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
