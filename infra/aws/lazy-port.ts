/** Ports that are imported at the first call of a method, so that a cold start loads little. */

/** A port with these methods, which must be all of its methods. `load` is called once, and again after a failure. */
export function lazyPort<P extends object>(methods: { [name in keyof P]: true }, load: () => Promise<P>): P {
  let port: Promise<P> | undefined;
  const ready = () => {
    port ??= load().catch((error) => {
      port = undefined;
      throw error;
    });
    return port;
  };
  const entries = Object.keys(methods).map((name) => [
    name,
    async (...args: unknown[]) => {
      const loaded = await ready();
      const method: unknown = Reflect.get(loaded, name);
      if (typeof method !== 'function')
        throw new Error(`The loaded port has no method ${name}. Remove it from the list of methods.`);
      return Reflect.apply(method, loaded, args);
    },
  ]);
  return Object.fromEntries(entries) as P;
}
