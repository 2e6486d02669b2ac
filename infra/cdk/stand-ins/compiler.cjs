// Stands in functions for Fastify's own compilers of JSON Schema (Ajv and fast-json-stringify, 280 KB): ours are zod's.
module.exports = () => () => () => {
  throw new Error('schemas are compiled by zod here');
};
