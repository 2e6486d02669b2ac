/** Stands in functions for the package `yaml` (110 KB), which others bring along for documents in YAML: ours is JSON. */
export function parse(): never {
  throw new Error('only JSON is read here');
}

export function stringify(): never {
  throw new Error('only JSON is written here');
}
