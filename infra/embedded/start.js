// `npm start`. Plain JavaScript, so that a Node too old for the rest can still say so.
const [major] = process.versions.node.split('.').map(Number);
if (major < 24) {
  console.error(
    `ListBackup needs Node 24 or later, and this is ${process.versions.node}. "npm ci" brings the right one: start it with "npm start".`,
  );
  process.exit(1);
}
await import('./main.ts');
