/** A deployment under test: its address, and sources that the suite can change. */

/** A bucket of an S3 server that the deployment can reach. */
export type TestBucket = {
  config: { bucket: string; endpoint: string; region: string };
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** An archived object is listed but cannot be read, so its file fails. */
  put(key: string, body: Uint8Array | string, options?: { archived?: boolean }): Promise<void>;
  remove(key: string): Promise<void>;
  /** Stops the storing of files until the returned function is called, so that a run cannot end. Optional. */
  hold?(): Promise<() => Promise<void>>;
};

export type Target = {
  deployment: 'self-hosted' | 'aws';
  url: string;
  bucket(): Promise<TestBucket>;
};
