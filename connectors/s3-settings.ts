/** The settings of an S3 source. */
import * as z from 'zod';

export const config = z.strictObject({
  bucket: z
    .string()
    .regex(
      /^[a-zA-Z0-9][a-zA-Z0-9._-]{1,253}[a-zA-Z0-9]$/,
      'Give only the name of the bucket, for example `my-bucket`.',
    )
    .refine(
      (bucket) => !bucket.endsWith('--x-s3'),
      'Directory buckets (S3 Express) cannot be backed up, because their listings are not in order.',
    )
    .describe('The name of the bucket.'),
  prefix: z
    .string()
    .max(1_024)
    .refine((prefix) => prefix.isWellFormed(), 'The prefix is not valid Unicode.')
    .optional()
    .describe('Only objects whose keys start with this prefix. It usually ends in `/`. The backup omits it.'),
  region: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/i, 'Give the code of the region, for example `eu-central-1`.')
    .optional()
    .describe('The region of the bucket. Default: `us-east-1`.'),
  endpoint: z.string().max(2_048).optional().meta({
    description: 'The URL of an S3-compatible server. Default: AWS.',
    format: 'uri',
    pattern: '^https?://',
  }),
});

const visible = /^[\x21-\x7e]{1,512}$/;
export const credentials = z.strictObject({
  accessKeyId: z
    .string()
    .regex(visible, 'Give the id of the access key, without spaces.')
    .describe('The id of an access key with the permissions s3:ListBucket and s3:GetObject.'),
  secretAccessKey: z
    .string()
    .regex(visible, 'Give the secret of the access key, without spaces.')
    .describe('The secret of the access key.'),
});

export type S3Config = z.infer<typeof config>;
export type S3Credentials = z.infer<typeof credentials>;
