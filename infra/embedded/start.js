// `npm start`. Plain JavaScript, so that a Node that is too old can report it.
const [major] = process.versions.node.split('.').map(Number);
if (major < 24) {
  console.error(
    `ListBackup needs Node 24 or later, and this is ${process.versions.node}. ` +
      'Run "npm ci" to install the right one, then "npm start".',
  );
  process.exit(1);
}
const { enableCompileCache } = await import('node:module');
enableCompileCache();
await import('./main.ts');
