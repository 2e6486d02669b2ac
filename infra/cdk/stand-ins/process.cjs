// An import of it would make all it exports, the standard streams among it; taken so, it makes what is asked for.
module.exports = process.getBuiltinModule('node:process');
