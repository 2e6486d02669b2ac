// Stands in functions for the package `semver` (30 KB), by which Fastify asks whether a plugin fits it: `npm start` has asked, of the same plugins.
exports.satisfies = () => true;
