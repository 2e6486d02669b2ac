// An import of it would make all it exports, a WebSocket and thereby all of undici among it; taken so, it makes what is asked for.
module.exports = process.getBuiltinModule('node:http');
