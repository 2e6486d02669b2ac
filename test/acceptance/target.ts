/** What the acceptance suite runs against: an address, and sources it can change behind the product's back. */

/** A bucket of a real S3 server that the target can reach. */
export type TestBucket = {
  config: { bucket: string; endpoint: string; region: string };
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** An object in the archive is listed and cannot be read: a file that fails. */
  put(key: string, body: Uint8Array | string, options?: { archived?: boolean }): Promise<void>;
  remove(key: string): Promise<void>;
  /** Nothing that is backed up of it is done before the function is called, so that no run ends too soon. Absent where that cannot be. */
  hold?(): Promise<() => Promise<void>>;
};

export type Target = {
  deployment: 'self-hosted' | 'aws';
  url: string;
  bucket(): Promise<TestBucket>;
};
