/** The import rules of the design, one line a folder: what it may import besides itself, npm packages and Node. */
const may = {
  domain: [],
  activity: ['domain'],
  vault: ['domain'],
  connectors: ['domain'],
  commands: ['domain', 'activity'],
  projections: ['domain', 'activity', 'vault'],
  processors: ['domain', 'activity', 'commands', 'connectors', 'vault'],
  api: ['domain', 'activity', 'commands', 'projections', 'vault', 'connectors'],
  cli: [],
};
const folders = [...Object.keys(may), 'infra', 'test', 'scripts', 'bench'];

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'not-resolvable',
      comment: 'aws-lambda is types alone',
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
      name: 'projections-are-apart',
      severity: 'error',
      comment: 'a read model knows what all of them are made of, and none of the others',
      from: {
        path: '^projections/(?!index|projection|generations|changes|catch-up|runner|parking|rebuild|tend|orders|fold|check|lag)([^/]+)\\.ts$',
      },
      to: { path: '^projections/(?!$1\\.ts)(?!(projection|generations)\\.ts)' },
    },
    {
      name: 'only-infra-knows-the-machine',
      comment: 'AWS, SQLite and the file system belong to infra; a connector is one exception: it talks to its own kind of source',
      severity: 'error',
      from: { path: '^(domain|activity|commands|projections|processors|api|vault)/' },
      to: { path: '^(node:)?(sqlite|fs|fs/promises|child_process|net|http|https)$|node_modules/@aws-sdk|node_modules/@aws-cdk' },
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
