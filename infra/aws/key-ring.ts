/**
 * Keys wrapped by KMS, stored in the table `subject-keys` and in the bucket for keys. The name of a key is its KMS
 * encryption context. A wrapped key therefore unwraps only under its own name, and CloudTrail records its use.
 */
import { createHash, createPublicKey } from 'node:crypto';
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { DecryptCommand, EncryptCommand, GetPublicKeyCommand, type KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { type DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { KeyRing } from '../../domain/ports.ts';
import { type KeyRingOptions, makeKeyRing } from '../key-ring.ts';
import type { KeyId, KeyStore, StoredKey } from '../key-stores.ts';
import { bytesIn, type Item, stringIn } from './attributes.ts';
import { scanItems } from './dynamo.ts';

/** `keyId`: a symmetric key that wraps keys. `signingKeyId`: an ECC_NIST_P256 key for SIGN_VERIFY. */
export type KmsKeys = { keyId(): string; signingKeyId(): string };

export function awsKeyRing(
  kms: () => KMSClient,
  documents: () => DynamoDBDocumentClient,
  prefix: string,
  keys: KmsKeys,
  options: KeyRingOptions,
): KeyRing {
  let pem: Promise<string> | undefined;
  return makeKeyRing({
    ...options,
    table: keyTable(documents, `${prefix}subject-keys`),

    async wrap(key, context) {
      const answer = await kms().send(
        new EncryptCommand({ KeyId: keys.keyId(), Plaintext: key, EncryptionContext: { key: context } }),
      );
      return present(answer.CiphertextBlob, 'ciphertext');
    },

    async unwrap(wrapped, context) {
      const answer = await kms().send(
        new DecryptCommand({ KeyId: keys.keyId(), CiphertextBlob: wrapped, EncryptionContext: { key: context } }),
      );
      return present(answer.Plaintext, 'plaintext');
    },

    async sign(bytes) {
      // KMS signs at most 4 KB of message, so it gets the digest.
      const digest = createHash('sha256').update(bytes).digest();
      const answer = await kms().send(
        new SignCommand({
          KeyId: keys.signingKeyId(),
          Message: digest,
          MessageType: 'DIGEST',
          SigningAlgorithm: 'ECDSA_SHA_256',
        }),
      );
      return present(answer.Signature, 'signature');
    },

    publicKey() {
      pem ??= publicKeyOf(kms(), keys.signingKeyId());
      pem.catch(() => {
        pem = undefined;
      });
      return pem;
    },
  });
}

async function publicKeyOf(kms: KMSClient, KeyId: string): Promise<string> {
  const answer = await kms.send(new GetPublicKeyCommand({ KeyId }));
  const key = createPublicKey({
    key: Buffer.from(present(answer.PublicKey, 'public key')),
    format: 'der',
    type: 'spki',
  });
  return key.export({ format: 'pem', type: 'spki' }).toString();
}

function keyTable(documents: () => DynamoDBDocumentClient, table: string): KeyStore {
  return {
    async get(id) {
      const answer = await documents().send(new GetCommand({ TableName: table, Key: keyOf(id), ConsistentRead: true }));
      return answer.Item && stateOf(answer.Item);
    },

    async putIfAbsent(id, key) {
      try {
        await documents().send(
          new PutCommand({
            TableName: table,
            Item: toItem(id, key),
            ConditionExpression: 'attribute_not_exists(pk)',
          }),
        );
        return true;
      } catch (error) {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      }
    },

    async replace(id, key) {
      await documents().send(new PutCommand({ TableName: table, Item: toItem(id, key) }));
    },

    async list(page, account) {
      const { items, next } = await readItems(documents(), table, page, account);
      return { items: items.map(idOf), next };
    },
  };
}

async function readItems(
  client: DynamoDBDocumentClient,
  table: string,
  page: { limit: number; cursor?: string },
  account: string | undefined,
): Promise<{ items: Item[]; next: string | null }> {
  if (account === undefined) return scanItems(client, table, page, ['pk', 'sk']);
  const answer = await client.send(
    new QueryCommand({
      TableName: table,
      ConsistentRead: true,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': account },
      Limit: page.limit,
      ...(page.cursor === undefined ? {} : { ExclusiveStartKey: JSON.parse(page.cursor) as Item }),
    }),
  );
  return { items: answer.Items ?? [], next: answer.LastEvaluatedKey ? JSON.stringify(answer.LastEvaluatedKey) : null };
}

const subjectPrefix = 'subject#';

function keyOf({ account, subject }: KeyId): Item {
  return { pk: account, sk: subject === undefined ? 'account' : `${subjectPrefix}${subject}` };
}

function idOf(item: Item): KeyId {
  const [account, sk] = [stringIn(item, 'pk'), stringIn(item, 'sk')];
  return sk.startsWith(subjectPrefix) ? { account, subject: sk.slice(subjectPrefix.length) } : { account };
}

function toItem(id: KeyId, key: StoredKey): Item {
  return { ...keyOf(id), ...key };
}

function stateOf(item: Item): StoredKey {
  if (item.destroyed) return { destroyed: true };
  const { destroysAt } = item;
  return {
    wrapped: bytesIn(item, 'wrapped'),
    revision: Number(item.revision ?? 0),
    ...(typeof destroysAt === 'number' && { destroysAt }),
  };
}

function present(bytes: Uint8Array | undefined, name: string): Uint8Array {
  if (!bytes) throw new Error(`KMS answered without ${name}. Try again.`);
  return new Uint8Array(bytes);
}
