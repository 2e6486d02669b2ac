/** Sizes of the steps of a run. */
export type Limits = {
  /** Items of one listing page. */
  page: number;
  /** The plan saves its position after this many pages, or sooner when batches are full. */
  pagesPerStep: number;
  /** A batch is full at this many items … */
  batchItems: number;
  /** … or at this many bytes. */
  batchBytes: number;
  /** Items of a listing that are sorted in memory. */
  sortItems: number;
  /** A run checks that all packs are stored if the last check is older (ms). */
  packCheckMs: number;
};

export const defaultLimits: Limits = {
  page: 1000,
  pagesPerStep: 20,
  batchItems: 1000,
  batchBytes: 64 * 1024 * 1024,
  sortItems: 100_000,
  packCheckMs: 3600_000,
};
