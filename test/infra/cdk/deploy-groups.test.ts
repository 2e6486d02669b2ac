import { expect, test } from 'vitest';
import { groups, needed, parseDeployCommand, stacksOf } from '../../../infra/cdk/deploy-groups.ts';

const command = (line: string) => parseDeployCommand(line.split(' ').filter(Boolean));

test.each([
  ['main all', groups],
  ['main core', ['core']],
  ['main nodejs', ['core', 'auth', 'api', 'analytics']],
  ['main python', ['backup-processors', 'data-analysis']],
])('%s', (line, chosen) => {
  expect(command(line)).toEqual({ stage: 'main', groups: chosen, dryRun: false, yes: false, app: undefined });
});

test('options may stand anywhere', () => {
  expect(command('--dry-run prod --yes api --app cdk.out')).toEqual({
    stage: 'prod',
    groups: ['api'],
    dryRun: true,
    yes: true,
    app: 'cdk.out',
  });
});

test.each([
  ['', 'a stage and a group are needed'],
  ['main', 'a stage and a group are needed'],
  ['main backend', 'there is no group "backend"'],
  ['main api core', '"core" is too many'],
  ['main api --force', 'there is no option --force'],
  ['main api --app', '--app needs the folder'],
])('"%s" is refused with the reason', (line, reason) => {
  expect(command(line)).toEqual({ wrong: expect.stringContaining(reason) });
});

test('a group asks for the groups it reads from, unless they come along', () => {
  expect(needed(['api'])).toEqual(['core', 'auth']);
  expect(needed(['core', 'api'])).toEqual(['auth']);
  expect(needed(groups)).toEqual([]);
  expect(needed(['backup-processors', 'data-analysis'])).toEqual(['core', 'api', 'analytics']);
});

test('the core comes with its copies in other regions, but not where one of them has taken over; the API with its edge', () => {
  const homeRegion = { region: 'eu-central-1', runsIn: 'eu-central-1', replicaRegions: ['eu-west-1'], edge: false };
  expect(stacksOf(['core', 'auth'], homeRegion)).toEqual([
    'replica-eu-west-1',
    'core',
    'replica-keys-eu-west-1',
    'auth',
  ]);
  expect(stacksOf(['core', 'api'], { ...homeRegion, runsIn: 'eu-west-1', edge: true })).toEqual([
    'core',
    'api',
    'edge',
  ]);
  expect(stacksOf(['core', 'auth'], { ...homeRegion, replicaRegions: [] })).toEqual(['core', 'auth']);
});
