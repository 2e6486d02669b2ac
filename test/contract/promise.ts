/**
 * A promise of a port, with a check and a way to break it. Every adapter runs every check. The suite tests itself: it
 * runs each check on the port that `broken` returns, and that check must fail.
 */
export type PortPromise<Port> = {
  promise: string;
  check(port: Port): Promise<void>;
  /** The port with only this promise broken. */
  broken(port: Port): Port;
};
