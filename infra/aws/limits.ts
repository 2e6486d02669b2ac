/** Sizes of the steps of a run on AWS. */
import { defaultLimits, type Limits } from '../../processors/limits.ts';

/** S3 does not lose packs by itself, and a list of them costs requests. So runs check packs at most daily. */
export const awsLimits: Limits = { ...defaultLimits, packCheckMs: 24 * 3600_000 };
