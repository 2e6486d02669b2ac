/** Checks the import rules. Fails if dependency-cruiser skipped a module, as it does without a parser for it. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';

type Report = {
  summary: { totalCruised: number; violations: { from: string; to: string; rule: { name: string } }[] };
  modules: { source: string }[];
};

const folders = [
  'domain',
  'activity',
  'commands',
  'projections',
  'processors',
  'connectors',
  'vault',
  'api',
  'infra',
  'crypto',
  'doctor',
  'cli',
  'scripts',
  'bench',
];
const present = folders.filter((folder) => globSync(`${folder}/**/*.ts`).length > 0);
const files = globSync(
  present.map((folder) => `${folder}/**/*.ts`),
  { exclude: ['**/node_modules/**'] },
);
const { stdout, stderr } = spawnSync('depcruise', ['--config', '.dependency-cruiser.cjs', '-T', 'json', ...present], {
  encoding: 'utf8',
  maxBuffer: 1 << 28,
});
if (!stdout) throw new Error(`dependency-cruiser printed no report: ${stderr}`);
const { summary, modules }: Report = JSON.parse(stdout);
const checked = new Set(modules.map(({ source }) => source));
const skipped = files.filter((file) => !checked.has(file));

for (const { from, to, rule } of summary.violations) console.error(`${rule.name}: ${from} → ${to}`);
for (const file of skipped) console.error(`not checked: ${file}`);
if (files.length === 0) console.error('no modules found');
console.log(
  `import rules: ${files.length} modules, ${summary.totalCruised} including packages, ${summary.violations.length} violations`,
);
process.exitCode = files.length === 0 || skipped.length > 0 || summary.violations.length > 0 ? 1 : 0;
