/**
 * Keys wrapped by KMS, stored in table `subject-keys`. The name of a key is its KMS encryption context. A wrapped key
 * therefore unwraps only under its own name, and CloudTrail records which key was unwrapped.
 */
import { createHash, createPublicKey } from 'node:crypto';
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { DecryptCommand, EncryptCommand, GetPublicKeyCommand, type KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { type DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { KeyRing } from '../../domain/ports.ts';
import { type KeyId, type KeyStore, makeKeyRing, type StoredKey } from '../key-ring.ts';
import { bytesIn, type Item } from './attributes.ts';

/** `keyId`: a symmetric key that wraps keys. `signingKeyId`: an ECC_NIST_P256 key for SIGN_VERIFY. */
export type KmsKeys = { keyId(): string; signingKeyId(): string };

export function awsKeyRing(
  kms: () => KMSClient,
  documents: () => DynamoDBDocumentClient,
  prefix: string,
  keys: KmsKeys,
): KeyRing {
  let pem: Promise<string> | undefined;
  return makeKeyRing({
    store: keyStore(documents, `${prefix}subject-keys`),

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

function keyStore(documents: () => DynamoDBDocumentClient, table: string): KeyStore {
  return {
    async get(id) {
      const answer = await documents().send(new GetCommand({ TableName: table, Key: keyOf(id), ConsistentRead: true }));
      if (!answer.Item) return undefined;
      return answer.Item.destroyed ? { destroyed: true } : { wrapped: bytesIn(answer.Item, 'wrapped') };
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
  };
}

function keyOf({ account, subject }: KeyId): Item {
  return { pk: account, sk: subject === undefined ? 'account' : `subject#${subject}` };
}

function toItem(id: KeyId, key: StoredKey): Item {
  return { ...keyOf(id), ...('wrapped' in key ? { wrapped: key.wrapped } : { destroyed: true }) };
}

function present(bytes: Uint8Array | undefined, name: string): Uint8Array {
  if (!bytes) throw new Error(`KMS answered without ${name}. Try again.`);
  return new Uint8Array(bytes);
}
