/** The import rules of docs/how-it-works.md: what each folder may import besides itself, npm packages and Node. */
const may = {
  domain: [],
  crypto: [],
  activity: ['domain', 'crypto'],
  vault: ['domain', 'crypto'],
  connectors: ['domain'],
  commands: ['domain', 'activity'],
  projections: ['domain', 'activity', 'vault'],
  tasks: ['domain'],
  processors: ['domain', 'crypto', 'activity', 'commands', 'tasks', 'connectors', 'vault'],
  api: ['domain', 'crypto', 'activity', 'commands', 'projections', 'vault', 'connectors'],
  doctor: ['domain', 'crypto', 'activity', 'commands', 'projections', 'vault', 'connectors', 'tasks', 'processors'],
  infra: [
    'domain',
    'crypto',
    'activity',
    'commands',
    'projections',
    'vault',
    'connectors',
    'tasks',
    'processors',
    'api',
    'doctor',
  ],
  cli: [],
};
const folders = [...Object.keys(may), 'test', 'scripts', 'bench'];

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'not-resolvable',
      comment: 'aws-lambda has types only',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^aws-lambda$' },
    },
    {
      name: 'domain-is-pure',
      comment: 'domain has no I/O, clock or randomness: no packages, no Node modules',
      severity: 'error',
      from: { path: '^domain/' },
      to: { dependencyTypes: ['npm', 'npm-dev', 'core'] },
    },
    {
      name: 'read-models-do-not-import-each-other',
      severity: 'error',
      comment: 'a read model imports the engine and its own folder only; index.ts lists them all',
      from: { path: '^projections/(?!engine/|index\\.ts)([^/.]+)' },
      to: { path: '^projections/(?!engine/)(?!$1[./])' },
    },
    {
      name: 'the-engine-knows-no-read-model',
      severity: 'error',
      from: { path: '^projections/engine/' },
      to: { path: '^projections/(?!engine/)' },
    },
    {
      name: 'queries-only-read-the-vault',
      severity: 'error',
      comment: 'projections and api use what reads the vault. Only processors write packs and manifests',
      from: { path: '^(projections|api)/' },
      to: {
        path: '^vault/(?!(damage|entry|exports|file-id|keys|pack-registry|read-file|reader|run-errors|search|selection)\\.ts$)',
      },
    },
    {
      name: 'only-infra-knows-the-platform',
      comment:
        'AWS, SQLite and the file system belong to infra. Connectors are the exception: they talk to their source',
      severity: 'error',
      from: { path: '^(domain|crypto|activity|commands|projections|tasks|processors|api|vault|doctor)/' },
      to: {
        path: '^(node:)?(sqlite|fs|fs/promises|child_process|dgram|net|tls|http|http2|https)$|node_modules/(@aws-sdk|@aws-cdk|@smithy|ws)/',
      },
    },
    ...Object.entries(may).map(([folder, others]) => ({
      name: `${folder}-imports`,
      severity: 'error',
      from: { path: `^${folder}/` },
      to: { path: `^(${folders.filter((f) => f !== folder && !others.includes(f)).join('|')})/` },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(cdk\\.out|\\.venv|\\.listbackup|coverage)' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
