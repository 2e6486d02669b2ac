/**
 * A promise of a port, with the check that holds it and a way to break it. Both homes run every check; the suite itself is
 * tested by running each check against the port with `broken` wrapped round it, where it has to fail.
 */
export type PortPromise<Port> = {
  promise: string;
  check(port: Port): Promise<void>;
  /** The port with just this promise broken. */
  broken(port: Port): Port;
};
