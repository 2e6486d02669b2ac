// Stands in functions for Fastify's logger (pino, 60 KB): ours log through Powertools.
module.exports = () => {
  throw new Error('Fastify logs nothing here');
};
