// Stands in functions for the package `yaml` (110 KB), which others bring along for documents in YAML: ours is JSON.
exports.parse = () => {
  throw new Error('only JSON is read here');
};
exports.stringify = () => {
  throw new Error('only JSON is written here');
};
