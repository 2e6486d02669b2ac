/**
 * Keys wrapped by KMS, resting in the table `subject-keys`. KMS binds what it wraps to the name of the key as its encryption context,
 * so that the wrapped key of one account is of no use in another's place, and CloudTrail tells whose key was opened.
 */
import { createHash, createPublicKey } from 'node:crypto';
import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import { DecryptCommand, EncryptCommand, GetPublicKeyCommand, type KMSClient, SignCommand } from '@aws-sdk/client-kms';
import type { KeyRing } from '../../domain/ports.ts';
import { type KeyId, type KeyStore, makeKeyRing, type StoredKey } from '../key-ring.ts';
import type { Item } from './attributes.ts';

/** `keyId`: a symmetric key that wraps. `signingKeyId`: an ECC_NIST_P256 key for SIGN_VERIFY. */
export type KmsKeys = { keyId(): string; signingKeyId(): string };

export function awsKeyRing(kms: () => KMSClient, dynamo: () => DynamoDBClient, prefix: string, keys: KmsKeys): KeyRing {
  let pem: Promise<string> | undefined;
  return makeKeyRing({
    store: keyStore(dynamo, `${prefix}subject-keys`),

    async wrap(key, context) {
      const answer = await kms().send(
        new EncryptCommand({ KeyId: keys.keyId(), Plaintext: key, EncryptionContext: { key: context } }),
      );
      return there(answer.CiphertextBlob, 'ciphertext');
    },

    async unwrap(wrapped, context) {
      const answer = await kms().send(
        new DecryptCommand({ KeyId: keys.keyId(), CiphertextBlob: wrapped, EncryptionContext: { key: context } }),
      );
      return there(answer.Plaintext, 'plaintext');
    },

    async sign(bytes) {
      // KMS takes at most 4 KB itself, so it is given the digest.
      const digest = createHash('sha256').update(bytes).digest();
      const answer = await kms().send(
        new SignCommand({
          KeyId: keys.signingKeyId(),
          Message: digest,
          MessageType: 'DIGEST',
          SigningAlgorithm: 'ECDSA_SHA_256',
        }),
      );
      return there(answer.Signature, 'signature');
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
  const key = createPublicKey({ key: Buffer.from(there(answer.PublicKey, 'public key')), format: 'der', type: 'spki' });
  return key.export({ format: 'pem', type: 'spki' }).toString();
}

function keyStore(dynamo: () => DynamoDBClient, table: string): KeyStore {
  return {
    async get(id) {
      const answer = await dynamo().send(
        new GetItemCommand({ TableName: table, Key: keyOf(id), ConsistentRead: true }),
      );
      if (!answer.Item) return undefined;
      return answer.Item.destroyed?.BOOL
        ? { destroyed: true }
        : { wrapped: there(answer.Item.wrapped?.B, 'wrapped key') };
    },

    async putIfAbsent(id, key) {
      try {
        await dynamo().send(
          new PutItemCommand({
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
      await dynamo().send(new PutItemCommand({ TableName: table, Item: toItem(id, key) }));
    },
  };
}

function keyOf({ account, subject }: KeyId): Item {
  return { pk: { S: account }, sk: { S: subject === undefined ? 'account' : `subject#${subject}` } };
}

function toItem(id: KeyId, key: StoredKey): Item {
  return { ...keyOf(id), ...('wrapped' in key ? { wrapped: { B: key.wrapped } } : { destroyed: { BOOL: true } }) };
}

function there(bytes: Uint8Array | undefined, what: string): Uint8Array {
  if (!bytes) throw new Error(`no ${what}`);
  return new Uint8Array(bytes);
}
