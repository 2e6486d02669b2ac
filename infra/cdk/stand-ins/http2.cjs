// Stands in functions for HTTP/2, which Fastify and the SDK would load to offer it: nobody connects to a function.
exports.createServer = exports.createSecureServer = () => {
  throw new Error('there is no HTTP/2 here');
};
