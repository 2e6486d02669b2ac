/** Bundles the code of a Lambda function: an entry file and chunks that the function imports when it needs them. */
import { fileURLToPath } from 'node:url';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { type AssetCode, Code } from 'aws-cdk-lib/aws-lambda';
import { buildSync } from 'esbuild';

const folder = fileURLToPath(new URL('../lambda', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Bundled CommonJS packages call `require`, which ES modules do not have. */
const requireBanner = "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);";

/**
 * Returns the asset of `infra/lambda/{entry}.ts`. Its handler is `index.handler`. The bundle includes the AWS SDK: it
 * pins the tested version, and one bundle loads faster than the module tree of the runtime.
 */
export function codeOf(entry: string): AssetCode {
  return Code.fromAsset(folder, {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // CDK never starts the image, because local bundling succeeds. It tells assets apart by these two fields.
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

/** Bundles `infra/lambda/{entry}.ts` into `outdir`. Throws esbuild's error. */
export function bundle(entry: string, outdir: string): void {
  bundleFile(`${folder}/${entry}.ts`, outdir);
}

/** Writes `index.mjs` and its chunks to `outdir`. Throws esbuild's error. */
export function bundleFile(file: string, outdir: string): void {
  buildSync({
    absWorkingDir: root,
    entryPoints: { index: file },
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    minify: true,
    // Inline license texts would be parsed at every cold start.
    legalComments: 'external',
    banner: { js: requireBanner },
    logLevel: 'error',
  });
}
