import type { Prices } from '../../processors/meter.ts';

/** List prices of us-east-1 in 2026: S3 Standard, DynamoDB on demand (one unit per request), SQS standard queues. */
export const awsList: Prices = {
  blobWrite: 5e-6,
  blobRead: 4e-7,
  recordWrite: 6.25e-7,
  recordRead: 1.25e-7,
  message: 4e-7,
};
