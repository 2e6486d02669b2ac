/** Connector for a bucket of S3 or of an S3-compatible server, or for the part of it below a prefix. */
import { type Connector, type ConnectorContext, parseSettings, type SourceSession } from './connector.ts';
import type { S3Limits } from './s3-limits.ts';
import { config, credentials, type S3Config, type S3Credentials } from './s3-settings.ts';

export const s3: Connector<S3Config, S3Credentials> = {
  type: 's3',
  order: 'any',
  config,
  credentials,
  open: openS3,
};

/** `s3.open`, with other limits in tests. */
export async function openS3(
  given: unknown,
  secret: unknown,
  context: ConnectorContext,
  limits?: S3Limits,
): Promise<SourceSession> {
  const settings = parseSettings(config, given, 'config');
  const access = parseSettings(credentials, secret, 'credentials');
  const { startSession } = await import('./s3-session.ts');
  return startSession(settings, access, context, limits);
}
