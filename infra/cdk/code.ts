/** The code of a function, as one entry and the chunks that it reads when it comes to them: SDK clients, the documentation page. */
import { fileURLToPath } from 'node:url';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { type AssetCode, Code } from 'aws-cdk-lib/aws-lambda';
import { buildSync } from 'esbuild';

const beside = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const noCompiler = beside('no-compiler.cjs');
const folder = fileURLToPath(new URL('../lambda', import.meta.url));

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

/** The same of any file. */
export function bundleFile(file: string, outdir: string): void {
  buildSync({
    entryPoints: { index: file },
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minify: true,
    // The licences lie beside the code: Lambda would read them at each start.
    legalComments: 'external',
    mainFields: ['module', 'main'],
    banner: { js: requireBanner },
    // What is never called, so that no start reads it.
    alias: { yaml: beside('no-yaml.cjs'), '@fastify/ajv-compiler': noCompiler, '@fastify/fast-json-stringify-compiler': noCompiler },
    logLevel: 'error',
  });
}
