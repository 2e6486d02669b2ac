/** Sizes of the steps of a run on AWS. */
import { defaultLimits, type Limits } from '../../processors/limits.ts';

/** S3 does not lose packs by itself, and a list of them costs requests. So runs check packs at most daily. */
const packCheckMs = 24 * 3600_000;

/** Sources are slower than the resumable hash, and a function has 15 minutes. So smaller files can go on too. */
const resumableBytes = 32 * 1024 * 1024;

export const awsLimits: Limits = { ...defaultLimits, packCheckMs, resumableBytes };
