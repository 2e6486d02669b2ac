/** A bucket of S3 or of any server that speaks its protocol, or the part of it below a prefix. */
import { type Connector, type ConnectorContext, parseSettings, type SourceSession } from './connector.ts';
import type { Patience } from './s3-client.ts';
import { config, credentials, type S3Config, type S3Credentials } from './s3-settings.ts';

export const s3: Connector<S3Config, S3Credentials> = {
  type: 's3',
  config,
  credentials,
  open: openS3,
};

/** `s3.open`, if need be with other patience. */
export async function openS3(
  given: unknown,
  secret: unknown,
  context: ConnectorContext,
  patience?: Patience,
): Promise<SourceSession> {
  const settings = parseSettings(config, given, 'config');
  const access = parseSettings(credentials, secret, 'credentials');
  const { startSession } = await import('./s3-session.ts');
  return startSession(settings, access, context, patience);
}
