/** Deploy groups in deployment order, sets of groups, and the command line of `scripts/deploy.sh`. */
import type { Stage } from './stage.ts';

export const groups = ['core', 'auth', 'api', 'analytics', 'backup-processors', 'data-analysis'] as const;
export type Group = (typeof groups)[number];

/** The groups whose stacks a group reads from. They must be deployed first. */
const needs: { [group in Group]: Group[] } = {
  core: [],
  auth: [],
  api: ['core', 'auth'],
  analytics: ['core'],
  'backup-processors': ['core'],
  'data-analysis': ['core', 'api', 'analytics', 'backup-processors'],
};

const sets: { [name: string]: readonly Group[] } = {
  all: groups,
  nodejs: ['core', 'auth', 'api', 'analytics'],
  python: ['backup-processors', 'data-analysis'],
};

export const usage = `usage: scripts/deploy.sh {stage} {group} [options]

  stage       main, test, prod or any name of up to 20 lower-case letters, digits and inner hyphens
  group       all, ${groups.join(', ')},
              nodejs (${sets.nodejs?.join(', ')}) or python (${sets.python?.join(', ')})
  --dry-run   show the changes without deploying
  --yes       do not ask before adding rights (for scripts without a terminal)
  --app DIR   deploy templates from DIR, written before by npm run synth

Stage options (network, other regions, …): docs/deploy.md.`;

export type DeployCommand = {
  stage: string;
  groups: readonly Group[];
  dryRun: boolean;
  yes: boolean;
  app: string | undefined;
};

/** Returns the parsed command, or the reason why it is invalid. */
export function parseDeployCommand(args: string[]): DeployCommand | { wrong: string } {
  const words: string[] = [];
  const command = { dryRun: false, yes: false, app: undefined as string | undefined };
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? '';
    if (word === '--dry-run') command.dryRun = true;
    else if (word === '--yes') command.yes = true;
    else if (word === '--app') {
      command.app = args[++i];
      if (!command.app) return { wrong: '--app needs a folder with templates, like cdk.out.' };
    } else if (word.startsWith('-')) return { wrong: `Unknown option ${word}.` };
    else words.push(word);
  }
  const [stage, group, more] = words;
  if (!stage || !group) return { wrong: 'Give a stage and a group.' };
  if (more) return { wrong: `Unexpected argument "${more}". Give one stage and one group.` };
  const chosen = sets[group] ?? (isGroup(group) ? [group] : undefined);
  if (!chosen) return { wrong: `Unknown group "${group}".` };
  return { ...command, stage, groups: chosen };
}

/** Returns the groups that must already be deployed: `chosen` reads from them and does not contain them. */
export function needed(chosen: readonly Group[]): Group[] {
  return groups.filter((group) => !chosen.includes(group) && chosen.some((other) => needs[other].includes(group)));
}

function isGroup(name: string): name is Group {
  return groups.some((each) => each === name);
}

/**
 * Returns the stack ids of `chosen` in deployment order. `core` includes the replica stacks, except after a failover.
 * `api` includes the edge.
 */
export function stacksOf(
  chosen: readonly Group[],
  { region, runsIn, replicaRegions, edge }: Pick<Stage, 'region' | 'runsIn' | 'replicaRegions' | 'edge'>,
): string[] {
  const replicas = runsIn === region ? replicaRegions : [];
  const stacks: { [group in Group]?: string[] } = {
    core: [...replicas.map((name) => `replica-${name}`), 'core', ...replicas.map((name) => `replica-keys-${name}`)],
    api: ['api', ...(edge ? ['edge'] : [])],
  };
  return chosen.flatMap((group) => stacks[group] ?? [group]);
}
