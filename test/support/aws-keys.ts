/** The key ring of a stage with its clock and its two stores, for the contract suite. */
import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import { awsBlobs } from '../../infra/aws/blobs.ts';
import type { AwsClients } from '../../infra/aws/clients.ts';
import type { AwsEnvironment } from '../../infra/aws/environment.ts';
import { awsKeyRing } from '../../infra/aws/key-ring.ts';
import type { KeyRingHarness } from '../contract/key-ring.ts';
import { silent } from './embedded.ts';
import { dayMs, keyBlob } from './keys.ts';

export function awsKeys({ kms, documents, s3 }: AwsClients, env: AwsEnvironment): KeyRingHarness {
  const blobs = awsBlobs(s3, () => env.KEYS_BUCKET);
  let ahead = 0;
  const now = () => Date.now() + ahead;
  const keys = { keyId: () => env.KEY_ID, signingKeyId: () => env.SIGNING_KEY_ID };
  return {
    ...awsKeyRing(kms, documents, env.TABLE_PREFIX, keys, { blobs, log: silent, now, graceDays: 7 }),
    passDays(days) {
      ahead += days * dayMs;
    },
    async lose(store, account, subject) {
      if (store === 'blobs') return blobs.delete([keyBlob(account, subject)]);
      const sk = subject === undefined ? 'account' : `subject#${subject}`;
      await documents().send(
        new DeleteCommand({ TableName: `${env.TABLE_PREFIX}subject-keys`, Key: { pk: account, sk } }),
      );
    },
  };
}
