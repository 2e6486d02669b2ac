/** What can be deployed at once: one stack, or the stacks of a name that people have in their fingers. In the order of deployment. */

import type { Stage } from './stage.ts';

export const groups = ['core', 'auth', 'api', 'analytics', 'backup-processors', 'data-analysis'] as const;
export type Group = (typeof groups)[number];

/** What a group's stack reads from others, so what has to be there before it. */
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
  --dry-run   shows what would change, and changes nothing
  --yes       does not ask before rights are widened (needed where nobody can answer)
  --app DIR   deploys templates made before by npm run synth, instead of making them

What can be chosen for a stage (network, another region, …): docs/deploy.md.`;

export type DeployCommand = {
  stage: string;
  groups: readonly Group[];
  dryRun: boolean;
  yes: boolean;
  app: string | undefined;
};

/** What the command line asks for, or why it cannot be understood. */
export function parseDeployCommand(args: string[]): DeployCommand | { wrong: string } {
  const words: string[] = [];
  const command = { dryRun: false, yes: false, app: undefined as string | undefined };
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? '';
    if (word === '--dry-run') command.dryRun = true;
    else if (word === '--yes') command.yes = true;
    else if (word === '--app') {
      command.app = args[++i];
      if (!command.app) return { wrong: '--app needs the folder of the templates, like cdk.out' };
    } else if (word.startsWith('-')) return { wrong: `there is no option ${word}` };
    else words.push(word);
  }
  const [stage, group, more] = words;
  if (!stage || !group) return { wrong: 'a stage and a group are needed' };
  if (more) return { wrong: `one stage and one group at a time; "${more}" is too many` };
  const chosen = sets[group] ?? (isGroup(group) ? [group] : undefined);
  if (!chosen) return { wrong: `there is no group "${group}"` };
  return { ...command, stage, groups: chosen };
}

/** Groups that have to be there already, since these need them and they are not among them. */
export function needed(chosen: readonly Group[]): Group[] {
  return groups.filter((each) => !chosen.includes(each) && chosen.some((one) => needs[one].includes(each)));
}

function isGroup(name: string): name is Group {
  return groups.some((each) => each === name);
}

/** The stacks of those groups, in that order: a core at home comes with its copies in other regions, the API with what stands before it. */
export function stacksOf(
  chosen: readonly Group[],
  { region, runsIn, replicaRegions, edge }: Pick<Stage, 'region' | 'runsIn' | 'replicaRegions' | 'edge'>,
): string[] {
  const copies = runsIn === region ? replicaRegions : [];
  const around: { [group in Group]?: string[] } = {
    core: [...copies.map((each) => `replica-${each}`), 'core', ...copies.map((each) => `replica-keys-${each}`)],
    api: ['api', ...(edge ? ['edge'] : [])],
  };
  return chosen.flatMap((group) => around[group] ?? [group]);
}
