/** Signed links to export blobs in S3, for exports that are too large for an answer of Lambda. */
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

const lifetimeSeconds = 15 * 60;

export type ExportLink = (key: string, answer: { fileName: string; type: string }) => Promise<string>;

/** `fileName` is a whole `Content-Disposition` value. The link needs no credential, supports ranges and expires. */
export function exportLinks(s3: () => S3Client, bucket: () => string): ExportLink {
  return (Key, { fileName, type }) => {
    const get = new GetObjectCommand({
      Bucket: bucket(),
      Key,
      ResponseContentDisposition: fileName,
      ResponseContentType: type,
    });
    return getSignedUrl(s3(), get, { expiresIn: lifetimeSeconds });
  };
}
