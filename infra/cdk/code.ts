/** The code of a function, as one entry and the chunks that it reads when it comes to them: SDK clients, the documentation page. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { type AssetCode, Code } from 'aws-cdk-lib/aws-lambda';
import { type BuildOptions, buildSync, type Metafile } from 'esbuild';

const standIn = (name: string) => fileURLToPath(new URL(`stand-ins/${name}.cjs`, import.meta.url));
const folder = fileURLToPath(new URL('../lambda', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Some packages are CommonJS inside and call require, which modules do not have. */
const requireBanner = "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);";

/**
 * `entry`: a file in infra/lambda without its ending; its handler is `index.handler`. The SDK goes in too: the version that was tested, and
 * few files load faster than the runtime's tree of modules.
 */
export function codeOf(entry: string): AssetCode {
  return Code.fromAsset(folder, {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // Never used, since the local way always works; but it is by these that CDK tells one function's code from another's.
      image: DockerImage.fromRegistry('none'),
      command: [entry],
      local: {
        tryBundle(outdir) {
          bundle(entry, outdir);
          return true;
        },
      },
    },
  });
}

/** Writes `index.mjs` and its chunks. Throws with esbuild's words. */
export function bundle(entry: string, outdir: string): void {
  bundleFile(`${folder}/${entry}.ts`, outdir);
}

const common = {
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  logLevel: 'error',
} satisfies BuildOptions;

/**
 * The same of any file. What is read at the start is one chunk beside the entry: esbuild alone would cut it by which of the later chunks needs
 * what of it, into some thirty files, and each costs a start a third of a millisecond. So all later chunks are made to need all of it.
 */
export function bundleFile(file: string, outdir: string): void {
  const parts = mkdtempSync(join(tmpdir(), 'listbackup-code-'));
  try {
    // Not made small yet: only so does esbuild wrap CommonJS in methods, named by their paths, where it else takes arrow functions, which V8
    // is 9 ms slower to read.
    const { metafile } = buildSync({
      ...common,
      absWorkingDir: root,
      entryPoints: { index: file },
      outdir: parts,
      metafile: true,
      legalComments: 'inline',
      mainFields: ['module', 'main'],
      // What is never called, so that no start reads it, and what is better not imported.
      alias: {
        yaml: standIn('yaml'),
        '@fastify/ajv-compiler': standIn('compiler'),
        '@fastify/fast-json-stringify-compiler': standIn('compiler'),
        pino: standIn('logger'),
        semver: standIn('versions'),
        'node:http2': standIn('http2'),
        'node:http': standIn('http'),
        'node:process': standIn('process'),
      },
    });
    const { atStart, later } = chunksOf(metafile);
    writeFileSync(join(parts, 'start.mjs'), atStart.map((chunk) => `import './${chunk}';\n`).join(''));
    for (const chunk of later)
      writeFileSync(join(parts, chunk), `import './start.mjs';\n${readFileSync(join(parts, chunk), 'utf8')}`);
    buildSync({
      ...common,
      absWorkingDir: parts,
      entryPoints: { index: join(parts, 'index.mjs') },
      outdir,
      minify: true,
      // The licences lie beside the code: Lambda would read them at each start.
      legalComments: 'external',
      banner: { js: requireBanner },
    });
  } finally {
    rmSync(parts, { recursive: true });
  }
}

/** The names of the chunks that the entry imports, in that order, and of those that something imports when it comes to it. */
function chunksOf({ outputs }: Metafile): { atStart: string[]; later: string[] } {
  const made = new Map(Object.entries(outputs).map(([path, { imports }]) => [basename(path), imports]));
  const importsOf = (file: string, kind: string) =>
    (made.get(file) ?? []).filter((each) => each.kind === kind && !each.external).map(({ path }) => basename(path));
  const atStart = new Set(['index.mjs']);
  for (const file of atStart) for (const chunk of importsOf(file, 'import-statement')) atStart.add(chunk);
  atStart.delete('index.mjs');
  const later = new Set([...made.keys()].flatMap((file) => importsOf(file, 'dynamic-import')));
  return { atStart: [...atStart], later: [...later] };
}
