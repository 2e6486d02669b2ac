/** Finds the names that the docs give, and reports those that the code does not have. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { routes } from '../../api/routes/index.ts';
import { makeProgram } from '../../cli/program.ts';
import { stageOptions, variableOf } from '../../infra/cdk/stage-options.ts';
import { synthesize } from '../infra/cdk/synth.ts';

type Command = ReturnType<typeof makeProgram>;

/** All that a doc may name. */
export type Code = {
  /** Tracked files, from the root of the repository. */
  files: string[];
  /** The text of all code, for flags, settings and parameters. */
  source: string;
  /** `GET /runs/{id}` */
  routes: Set<string>;
  scripts: Set<string>;
  cli: Command;
  /** `LISTBACKUP_…` variables that follow from the options of a stage. */
  stageSettings: Set<string>;
  /** Names of tables, buckets, queues, functions, topics, stacks and alarms of the stage `main`. */
  resources: Set<string>;
  /** Headings of the runbook that alarms refer to. */
  alarms: Set<string>;
};

export function readCode(): Code {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' });
  const files = listed.split('\n').filter((file) => file !== '' && existsSync(file));
  const code = files.filter((file) => /\.(ts|js|cjs|sh|py)$|(^|\/)package\.json$|^\.ci\//.test(file));
  const own = code.filter((file) => !file.startsWith('test/docs/'));
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { [name: string]: string } };
  return {
    files,
    source: own.map((file) => readFileSync(file, 'utf8')).join('\n'),
    routes: new Set([
      ...routes.flatMap(({ addresses }) => addresses as readonly string[]),
      ...['GET /', 'GET /docs', 'GET /openapi.json'],
    ]),
    scripts: new Set(Object.keys(scripts)),
    cli: makeProgram(false).option('--help'),
    stageSettings: new Set(
      Object.keys(stageOptions('main', () => undefined)).map((option) => variableOf(option as 'network')),
    ),
    ...namesOfStage(),
  };
}

function namesOfStage(): Pick<Code, 'resources' | 'alarms'> {
  const copied = {
    region: 'eu-central-1',
    replicaRegions: 'eu-west-1',
    writerRegion: 'eu-central-1',
    runsIn: 'eu-central-1',
  };
  const resources = new Set<string>();
  const alarms = new Set<string>();
  for (const { stackNames, ofEvery } of [synthesize('main'), synthesize('main', copied)]) {
    const text = JSON.stringify(ofEvery());
    for (const [name] of text.matchAll(/listbackup-[\w-]*\w/g)) resources.add(name);
    for (const [, heading] of text.matchAll(/docs\/runbook\.md#([a-z-]+)/g)) if (heading) alarms.add(heading);
    for (const name of stackNames) resources.add(name);
  }
  return { resources, alarms };
}

export type Doc = { file: string; text: string };

/** Each name of the doc that the code does not have, with its kind. `examples` are names that the doc invents. */
export function unknownNames(doc: Doc, code: Code, examples: Set<string> = new Set()): string[] {
  const snippets = codeOf(doc.text);
  const unknown = [
    ...snippets.flatMap((snippet) => [
      ...unknownRoutes(snippet, code),
      ...unknownScripts(snippet, code),
      ...unknownCommands(snippet, code),
      ...unknownFlags(snippet, code),
      ...unknownFiles(snippet, doc.file, code),
      ...unknownResources(snippet, code),
    ]),
    ...unknownSettings(doc.text, code),
    ...unknownLinks(doc),
    ...unknownImports(doc.text, code),
    ...(doc.file.endsWith('runbook.md') ? unknownAlarms(doc.text, code) : []),
  ];
  return [...new Set(unknown)].filter((name) => !examples.has(name));
}

/** Inline code, and each line of a block of code. */
function codeOf(text: string): string[] {
  const blocks = [...text.matchAll(/^ *```\w*\n([\s\S]*?)^ *```/gm)].flatMap(([, block]) =>
    (block ?? '').replace(/\\\n/g, ' ').split('\n'),
  );
  const inline = [...text.replace(/^ *```[\s\S]*?^ *```/gm, '').matchAll(/`([^`]+)`/g)].map(([, span]) => span ?? '');
  return [...blocks, ...inline.map((span) => span.replace(/\s+/g, ' '))];
}

function unknownRoutes(snippet: string, { routes }: Code): string[] {
  const named = [...snippet.matchAll(/\b(GET|HEAD|POST|PUT|PATCH|DELETE) (\/[\w/{}.-]*)/g)].map(
    ([, method, path = '']) => `${method === 'HEAD' ? 'GET' : method} ${path.replace(/(?<=.)[/.]$/, '')}`,
  );
  const paths = new Set([...routes].map((route) => route.split(' ')[1]));
  const called = [...snippet.matchAll(/\$API(\/[\w/$.-]*)/g)].map(([, path = '']) => path.replace(/\$\w+/g, '{id}'));
  return [
    ...named.filter((route) => !routes.has(route)).map((route) => `route ${route}`),
    ...called.filter((path) => !paths.has(path)).map((path) => `route ${path}`),
  ];
}

function unknownScripts(snippet: string, { scripts }: Code): string[] {
  const named = [...snippet.matchAll(/\bnpm (?:run (?:--silent )?([\w:-]+)|(start|test)\b)/g)].map(
    ([, script, short]) => script ?? short ?? '',
  );
  return named.filter((name) => !scripts.has(name)).map((name) => `script npm run ${name}`);
}

/** `listbackup …` wherever it is called, and inline code that begins with one of its commands. */
function unknownCommands(snippet: string, { cli }: Code): string[] {
  const called = /(?:^|npx (?:--no-install )?|\()listbackup(?: --)? ([^|`#&;)]*)/.exec(snippet)?.[1];
  const words = (called ?? snippet).trim().split(/\s+/);
  const [first = ''] = words;
  const isCommand = cli.commands.some((command) => command.name() === first);
  if (called === undefined && !isCommand) return [];
  if (!isCommand && !/^(-|…|"|\$|<|\{)/.test(first) && first !== '') return [`command listbackup ${first}`];
  let command = cli;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (!next) break;
    command = next;
  }
  const flags = words.map((word) => /^(--?[a-z][\w-]*)/.exec(word)?.[1]).filter((flag) => flag !== undefined);
  const options = [...cli.options, ...command.options].flatMap(({ short, long }) => [short, long]);
  return flags
    .filter((flag) => !options.includes(flag))
    .map((flag) => `flag ${flag} of listbackup ${command === cli ? '' : command.name()}`.trim());
}

/** Flags of our own programs. Those of other programs on a line belong to them. */
function unknownFlags(snippet: string, { source, cli }: Code): string[] {
  const isOurs = /^(--|-- )|\bnpm (run|start|test)\b|scripts\/[\w-]+\.sh|node [\w/]+\.ts/.test(snippet);
  if (!isOurs) return [];
  const known = (flag: string) =>
    source.includes(`--${flag}`) ||
    new RegExp(`['"]?\\b${flag}['"]?: \\{ type: '`).test(source) ||
    everyOption(cli).includes(`--${flag}`);
  const words = snippet.replace(/#.*$/, '').split(/\s+/);
  return words
    .map((word) => /^--([a-z][a-z-]*)/.exec(word)?.[1])
    .filter((flag) => flag !== undefined && flag !== 'silent' && !known(flag))
    .map((flag) => `flag --${flag}`);
}

function everyOption(command: Command): (string | undefined)[] {
  return [...command.options.map(({ long }) => long), ...command.commands.flatMap(everyOption)];
}

function unknownSettings(text: string, { source, stageSettings }: Code): string[] {
  const named = [...text.matchAll(/\bLISTBACKUP_[A-Z][A-Z_]*[A-Z]/g)].map(([name]) => name);
  return named
    .filter((name) => !stageSettings.has(name) && !new RegExp(`\\b${name}\\b`).test(source))
    .map((name) => `setting ${name}`);
}

/** Paths below a folder of the repository, and names with an ending that our files have. */
function unknownFiles(snippet: string, doc: string, { files }: Code): string[] {
  const folders = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]));
  const words = snippet.split(/[\s'"()[\],;=|]+/).map((word) => word.replace(/^\.\//, '').replace(/[.:]+$/, ''));
  const paths = words.filter(
    (word) =>
      /^[\w./-]+$/.test(word) &&
      !word.startsWith('/') &&
      !word.startsWith('..') &&
      ((word.includes('/') && folders.has(word.split('/')[0])) || /^[\w/-]+\.(ts|md|sh|cjs)$/.test(word)),
  );
  const exists = (path: string) =>
    existsSync(path) ||
    existsSync(join(dirname(doc), path)) ||
    files.some((file) => file.endsWith(`/${path}`) || file.startsWith(`${path}.`));
  const isSessionData = /^npx listbackup|^(file|folder) +/.test(snippet);
  return isSessionData ? [] : paths.filter((path) => !exists(path)).map((path) => `file ${path}`);
}

/** `listbackup-{stage}-records` and `/listbackup/…`, with any stage and any name in braces. */
function unknownResources(snippet: string, { resources, source }: Code): string[] {
  const named = [...snippet.matchAll(/(?<![\w/@.-])\/?(?:aws\/lambda\/)?(listbackup-[\w${}-]+)/g)].map(
    ([, name = '']) => name,
  );
  const matches = (name: string) => {
    const pattern = name
      .replace(/\{stage\}|\$S\b|\$\{stage\}/g, 'main')
      .replace(/\{\w+\}/g, '[a-z-]+')
      .replace(/-$/, '-.*');
    return [...resources].some((resource) => new RegExp(`^${pattern}$`).test(resource));
  };
  const parameters = [...snippet.matchAll(/(?<![\w.])\/listbackup\/(?:main\/|prod\/|\$S\/|\{stage\}\/)?([\w-]+)/g)];
  return [
    ...named.filter((name) => !matches(name)).map((name) => `resource ${name}`),
    ...parameters.flatMap(([path, name = '']) => (source.includes(name) ? [] : [`parameter ${path}`])),
  ];
}

/** The runbook has a heading for each alarm, and no other but that of the notice about failed batches. */
function unknownAlarms(text: string, { alarms }: Code): string[] {
  const headings = [...text.matchAll(/^### (.+)$/gm)].map(([, heading = '']) => heading);
  return [
    ...headings.filter((heading) => !alarms.has(heading)).map((heading) => `alarm ${heading}`),
    ...[...alarms].filter((alarm) => !headings.includes(alarm)).map((alarm) => `no heading for the alarm ${alarm}`),
  ];
}

function unknownLinks({ file, text }: Doc): string[] {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.flatMap((link) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? file : join(dirname(file), path);
    if (!existsSync(target)) return [`link ${link}`];
    if (anchor === undefined || !target.endsWith('.md')) return [];
    return anchorsOf(readFileSync(target, 'utf8')).includes(anchor) ? [] : [`link ${link}`];
  });
}

/** As GitHub makes them from headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replace(/ /g, '-'),
  );
}

/** A TypeScript block that begins with its path imports files that exist, and names that they export. */
function unknownImports(text: string, { files }: Code): string[] {
  const blocks = [...text.matchAll(/^ *```ts\n *\/\/ ([\w./-]+)\n([\s\S]*?)^ *```/gm)];
  return blocks.flatMap(([, path = '', block = '']) =>
    [...block.matchAll(/import (?:type )?\{([^}]+)\} from '(\.[^']+)'/g)].flatMap(([, names = '', from = '']) => {
      const target = normalize(join(dirname(path), from));
      if (!files.includes(target)) return [`file ${target}`];
      const source = readFileSync(target, 'utf8');
      return names
        .split(',')
        .map((name) => name.trim().replace(/^type /, ''))
        .filter((name) => !new RegExp(`export (async )?(function|const|type|class|interface) ${name}\\b`).test(source))
        .map((name) => `import ${name} from ${target}`);
    }),
  );
}
