import { expect, test } from 'vitest';
import { groups, needed, parseDeployCommand, stacksOf } from '../../../infra/cdk/deploy-groups.ts';

const command = (line: string) => parseDeployCommand(line.split(' ').filter(Boolean));

test.each([
  ['main all', groups],
  ['main core', ['core']],
  ['main nodejs', ['core', 'auth', 'api', 'analytics']],
  ['main python', ['backup-processors', 'data-analysis']],
])('parses "%s"', (line, chosen) => {
  expect(command(line)).toEqual({ stage: 'main', groups: chosen, dryRun: false, yes: false, app: undefined });
});

test('accepts options at any position', () => {
  expect(command('--dry-run prod --yes api --app cdk.out')).toEqual({
    stage: 'prod',
    groups: ['api'],
    dryRun: true,
    yes: true,
    app: 'cdk.out',
  });
});

test.each([
  ['', 'Give a stage and a group'],
  ['main', 'Give a stage and a group'],
  ['main backend', 'Unknown group "backend"'],
  ['main api core', 'Unexpected argument "core"'],
  ['main api --force', 'Unknown option --force'],
  ['main api --app', '--app needs a folder'],
])('rejects "%s" with the reason', (line, reason) => {
  expect(command(line)).toEqual({ wrong: expect.stringContaining(reason) });
});

test('a group needs the groups that it reads from, unless they are deployed with it', () => {
  expect(needed(['api'])).toEqual(['core', 'auth']);
  expect(needed(['core', 'api'])).toEqual(['auth']);
  expect(needed(groups)).toEqual([]);
  expect(needed(['backup-processors', 'data-analysis'])).toEqual(['core', 'api', 'analytics']);
});

test('core deploys its replicas except after a failover, and api deploys its edge', () => {
  const stage = { region: 'eu-central-1', runsIn: 'eu-central-1', replicaRegions: ['eu-west-1'], edge: false };
  expect(stacksOf(['core', 'auth'], stage)).toEqual(['replica-eu-west-1', 'core', 'replica-keys-eu-west-1', 'auth']);
  expect(stacksOf(['core', 'api'], { ...stage, runsIn: 'eu-west-1', edge: true })).toEqual(['core', 'api', 'edge']);
  expect(stacksOf(['core', 'auth'], { ...stage, replicaRegions: [] })).toEqual(['core', 'auth']);
});
