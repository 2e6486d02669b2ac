/** Ports whose code is read when one of their methods is first called, so that a start reads only what it needs. */

/** A port with these methods, all of them; `load` is called once, and again when it failed. */
export function lazily<P extends object>(methods: { [name in keyof P]: true }, load: () => Promise<P>): P {
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
      if (typeof method !== 'function') throw new Error(`the port has no method ${name}`);
      return Reflect.apply(method, loaded, args);
    },
  ]);
  return Object.fromEntries(entries) as P;
}
