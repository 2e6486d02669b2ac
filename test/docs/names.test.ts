/** The docs name only what exists. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { type Doc, readCode, unknownNames } from './names.ts';

/** Names that the guides invent: the reader adds them. */
const examples = new Set([
  'route GET /jobs/{id}/last-run',
  'file api/routes/last-run.ts',
  'file last-run.ts',
  'file commands/pause-job.ts',
  'file projections/run-counts.ts',
]);

const code = readCode();
const docs: Doc[] = code.files
  .filter((file) => /^(README|CHANGELOG)\.md$|^docs\/.*\.md$/.test(file))
  .map((file) => ({ file, text: readFileSync(file, 'utf8') }));

test.each(docs)('$file names only what exists', (doc) => {
  expect(unknownNames(doc, code, examples)).toEqual([]);
});

test('every invented name is used by a guide', () => {
  const guides = docs.filter(({ file }) => file.startsWith('docs/adding-'));
  const invented = new Set(guides.flatMap((doc) => unknownNames(doc, code)));
  expect([...examples].filter((name) => !invented.has(name))).toEqual([]);
});

test.each([
  ['`GET /nothing`', 'route GET /nothing'],
  ['```sh\ncurl -s $API/nothing/$ID\n```', 'route /nothing/{id}'],
  ['`npm run nothing`', 'script npm run nothing'],
  ['`npx listbackup nothing`', 'command listbackup nothing'],
  ['`npx listbackup run Documents --nothing`', 'flag --nothing of listbackup run'],
  ['`npm start -- --nothing`', 'flag --nothing'],
  ['LISTBACKUP_NOTHING', 'setting LISTBACKUP_NOTHING'],
  ['`listbackup-{stage}-nothing`', 'resource listbackup-{stage}-nothing'],
  ['`/listbackup/nothing-secret`', 'parameter /listbackup/nothing-secret'],
  ['`domain/nothing.ts`', 'file domain/nothing.ts'],
  ['`nothing.ts`', 'file nothing.ts'],
  ['`infra/nothing/`', 'file infra/nothing/'],
  ['[a link](nothing.md)', 'link nothing.md'],
  ['[a link](glossary.md#nothing)', 'link glossary.md#nothing'],
  ["```ts\n// api/x.ts\nimport { nothing } from '../domain/ports.ts';\n```", 'import nothing from domain/ports.ts'],
])('reports what does not exist in %j', (text, unknown) => {
  expect(unknownNames({ file: 'docs/test.md', text }, code)).toContain(unknown);
});

test('reports a heading of the runbook without an alarm, and an alarm without a heading', () => {
  const unknown = unknownNames({ file: 'docs/runbook.md', text: '### nothing\n' }, code);
  expect(unknown).toContain('alarm nothing');
  expect(unknown).toContain('no heading for the alarm parked');
});

test('the rooms in docs/how-it-works.md may import what the import rules allow', () => {
  const require = createRequire(import.meta.url);
  const rules: { name: string; to: { path: string } }[] = require('../../.dependency-cruiser.cjs').forbidden;
  const text = readFileSync('docs/how-it-works.md', 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)\/` \|[^|]*\| ([^|]+) \|$/gm)].map(([, room = '', imports = '']) => ({
    room,
    imports: imports.trim(),
  }));
  const rooms = rows.map(({ room }) => room);
  const ruled = rows.filter(({ imports }) => imports !== 'everything');
  expect(ruled.map(({ room }) => room).toSorted()).toEqual(
    rules.flatMap(({ name }) => /^(\w+)-imports$/.exec(name)?.[1] ?? []).toSorted(),
  );
  for (const { room, imports } of ruled) {
    const above = rooms.slice(0, rooms.indexOf(room));
    const except = /^all above(?: but (\w+))?$/.exec(imports);
    const allowed = except ? above.filter((other) => other !== except[1]) : imports.split(', ');
    const forbidden = new RegExp(rules.find(({ name }) => name === `${room}-imports`)?.to.path ?? '');
    const byRules = rooms.filter((other) => other !== room && !forbidden.test(`${other}/x.ts`));
    expect({ room, allowed: allowed.filter((other) => other !== 'nothing').toSorted() }).toEqual({
      room,
      allowed: byRules.toSorted(),
    });
  }
});
