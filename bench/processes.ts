/** What programs use of the machine. Linux only: as it is counted in /proc, and by GNU time. */
import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** USER_HZ, which Linux shows to programs as 100 on every architecture that Node comes for. */
const ticksPerSecond = 100;

export type Usage = { wallSeconds: number; cpuSeconds: number; peakBytes: number };

/** Begins to measure everything a running process has started; the answer ends it. The process itself, a mere starter, does not count. */
export function watchChildren(pid: number): () => Usage {
  const cpu = cpuOf(pid);
  // 5: the peak of resident memory starts anew, see proc_pid_clear_refs(5).
  for (const id of descendants(pid)) writeFileSync(`/proc/${id}/clear_refs`, '5');
  const start = performance.now();
  return () => ({
    wallSeconds: (performance.now() - start) / 1000,
    cpuSeconds: cpuOf(pid) - cpu,
    peakBytes: descendants(pid).reduce((sum, id) => sum + peakOf(id), 0),
  });
}

/** Runs a program to its end and measures it. Throws what it said when it fails. */
export async function runMeasured(command: string, args: string[], env: { [name: string]: string }): Promise<Usage> {
  const folder = await mkdtemp(join(tmpdir(), 'listbackup-bench-time-'));
  try {
    const report = join(folder, 'time');
    const start = performance.now();
    const child = spawn('time', ['-f', '%U %S %M', '-o', report, command, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
    });
    const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    const wallSeconds = (performance.now() - start) / 1000;
    if (code !== 0) throw new Error(`${command} ${args[0]} ended with ${code}: ${said}`);
    const [user = 0, system = 0, kibibytes = 0] = (await readFile(report, 'utf8')).trim().split(' ').map(Number);
    return { wallSeconds, cpuSeconds: user + system, peakBytes: kibibytes * 1024 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The first line of what a program says of itself; undefined where it, or what it is measured with, is not installed. */
export async function askVersion(command: string, args: string[]): Promise<string | undefined> {
  try {
    await exec('time', ['--version']);
    return (await exec(command, args)).stdout.split('\n')[0];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Lets what was written before rest on the disk first, so that nobody pays for another's writes. */
export async function settleDisk(): Promise<void> {
  await exec('sync');
}

/** Bytes of all files below a folder; 0 where there is none. */
export async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = entries.filter((entry) => entry.isFile()).map((entry) => stat(join(entry.parentPath, entry.name)));
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

/** utime and stime, and those of its children that have ended: fields 14 to 17. */
function cpuOf(pid: number): number {
  const ticks = descendants(pid).flatMap((id) => statFields(id)?.slice(11, 15).map(Number) ?? []);
  return ticks.reduce((sum, one) => sum + one, 0) / ticksPerSecond;
}

function peakOf(pid: number): number {
  const peak = readOf(pid, 'status')?.match(/^VmHWM:\s+(\d+) kB$/m)?.[1];
  return Number(peak ?? 0) * 1024;
}

/** The fields of /proc/<pid>/stat from the third on, see proc_pid_stat(5): the name before them may hold anything but its own end. */
function statFields(pid: number): string[] | undefined {
  return readOf(pid, 'stat')
    ?.replace(/^.*\) /s, '')
    .split(' ');
}

/** Undefined for a process that has ended, and for what is no process. */
function readOf(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return undefined;
  }
}
