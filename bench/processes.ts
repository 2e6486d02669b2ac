/** Measures CPU time and memory of programs, from /proc and GNU time. Linux only. */
import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** USER_HZ. It is 100 on every Linux architecture that Node supports. */
const ticksPerSecond = 100;

export type Usage = { wallSeconds: number; cpuSeconds: number; peakBytes: number };

/** Measures the children of a running launcher process until the returned function is called. */
export function watchChildren(pid: number): () => Usage {
  const cpu = cpuOf(pid);
  // 5 resets the peak of resident memory, see proc_pid_clear_refs(5)
  for (const id of descendants(pid)) writeFileSync(`/proc/${id}/clear_refs`, '5');
  const start = performance.now();
  return () => ({
    wallSeconds: (performance.now() - start) / 1000,
    cpuSeconds: cpuOf(pid) - cpu,
    peakBytes: descendants(pid).reduce((sum, id) => sum + peakOf(id), 0),
  });
}

/** Runs a program to its end and measures it. Throws its output if it fails. */
export async function runMeasured(command: string, args: string[], env: { [name: string]: string }): Promise<Usage> {
  const folder = await mkdtemp(join(tmpdir(), 'listbackup-bench-time-'));
  try {
    const report = join(folder, 'time');
    const start = performance.now();
    const child = spawn('time', ['-f', '%U %S %M', '-o', report, command, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let output = '';
    child.stderr.on('data', (text) => {
      output += text;
    });
    const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    const wallSeconds = (performance.now() - start) / 1000;
    if (code !== 0) throw new Error(`${command} ${args[0]} ended with ${code}: ${output}`);
    const [user = 0, system = 0, kibibytes = 0] = (await readFile(report, 'utf8')).trim().split(' ').map(Number);
    return { wallSeconds, cpuSeconds: user + system, peakBytes: kibibytes * 1024 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The first line of a program's version. Undefined if it or GNU time is not installed. */
export async function askVersion(command: string, args: string[]): Promise<string | undefined> {
  try {
    await exec('time', ['--version']);
    return (await exec(command, args)).stdout.split('\n')[0];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Syncs earlier writes to the disk, so that the next measure does not include them. */
export async function settleDisk(): Promise<void> {
  await exec('sync');
}

/** Bytes of all files below a folder, 0 if it does not exist. A file may vanish meanwhile. */
export async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map((entry) => stat(join(entry.parentPath, entry.name)).catch(() => ({ size: 0 })));
  return (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0);
}

function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const parent = Number(statFields(Number(name))?.[1]);
    if (parent) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (id: number): number[] => (children.get(id) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(pid);
}

/** CPU time of the process and its ended children: fields 14 to 17. */
function cpuOf(pid: number): number {
  const ticks = descendants(pid).flatMap((id) => statFields(id)?.slice(11, 15).map(Number) ?? []);
  return ticks.reduce((sum, one) => sum + one, 0) / ticksPerSecond;
}

function peakOf(pid: number): number {
  const peak = readOf(pid, 'status')?.match(/^VmHWM:\s+(\d+) kB$/m)?.[1];
  return Number(peak ?? 0) * 1024;
}

/** The fields of /proc/<pid>/stat after the name, see proc_pid_stat(5). The name may contain spaces and brackets. */
function statFields(pid: number): string[] | undefined {
  return readOf(pid, 'stat')
    ?.replace(/^.*\) /s, '')
    .split(' ');
}

/** Undefined if the process has ended. */
function readOf(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return undefined;
  }
}
