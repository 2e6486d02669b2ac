/** What a bucket is reached by. */
import * as z from 'zod';

export const config = z.strictObject({
  bucket: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{1,253}[a-zA-Z0-9]$/, 'Give the name of the bucket alone, as in `my-bucket`.')
    .refine(
      (bucket) => !bucket.endsWith('--x-s3'),
      'Directory buckets (S3 Express) do not list in order and cannot be backed up.',
    )
    .describe('The name of the bucket.'),
  prefix: z
    .string()
    .max(1_024)
    .refine((prefix) => prefix.isWellFormed(), 'This is not valid Unicode.')
    .optional()
    .describe('Only objects whose keys start so; it is cut off their names. Usually ends in `/`.'),
  region: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/i, 'Give the code of the region, as in `eu-central-1`.')
    .optional()
    .describe('The region of the bucket; `us-east-1` when absent.'),
  endpoint: z.string().max(2_048).optional().meta({
    description: 'The URL of an S3-compatible server; AWS when absent.',
    format: 'uri',
    pattern: '^https?://',
  }),
});

const visible = /^[\x21-\x7e]{1,512}$/;
export const credentials = z.strictObject({
  accessKeyId: z
    .string()
    .regex(visible, 'Give the id of the access key, with no spaces.')
    .describe('The id of an access key that may s3:ListBucket and s3:GetObject.'),
  secretAccessKey: z
    .string()
    .regex(visible, 'Give the secret of the access key, with no spaces.')
    .describe('Its secret.'),
});

export type S3Config = z.infer<typeof config>;
export type S3Credentials = z.infer<typeof credentials>;
