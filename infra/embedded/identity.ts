/**
 * The `Identity` port on SQLite. Passwords are hashed with argon2id, e-mail addresses are looked up by their HMAC,
 * and e-mail address and name are encrypted.
 */
import { argon2, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Identity, JsonObject } from '../../domain/ports.ts';
import { decryptBytes, encryptBytes } from '../key-ring.ts';
import { longestPassword, passwordWeakness } from '../password.ts';
import type { Database } from './database.ts';
import type { MachineKeys } from './key-file.ts';

const hash = promisify(argon2);

/**
 * 19 MiB, two passes, one lane:
 * https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
 */
function hashPassword(password: string, salt: Uint8Array): Promise<Uint8Array> {
  return hash('argon2id', {
    message: password.normalize('NFC'),
    nonce: salt,
    memory: 19 * 1024,
    passes: 2,
    parallelism: 1,
    tagLength: 32,
  });
}

export function makeIdentity(db: Database, keys: MachineKeys): Identity {
  const [macKey, encryptionKey] = [keys.derive('e-mail lookup'), keys.derive('identity')];
  const macOf = (email: string) => createHmac('sha256', macKey).update(email.normalize('NFC').toLowerCase()).digest();
  const find = (mac: Uint8Array) =>
    db.sql('SELECT user_id, account_id, salt, password_hash, encrypted FROM people WHERE email_mac = ?').get(mac);
  const nobody = { salt: randomBytes(16), hash: randomBytes(32) };

  return {
    async register({ email, password, name, userId, accountId }) {
      const weakness = await passwordWeakness(password, email);
      if (weakness !== undefined) return { outcome: 'weak-password', detail: weakness };
      const mac = macOf(email);
      if (find(mac)) return { outcome: 'taken' };
      const salt = randomBytes(16);
      const passwordHash = await hashPassword(password, salt);
      const encrypted = encryptBytes(encryptionKey, Buffer.from(JSON.stringify({ email, name })), mac.toString('hex'));
      const first = await db.write(
        () =>
          db
            .sql(
              `INSERT INTO people (email_mac, user_id, account_id, salt, password_hash, encrypted)
               VALUES (?, ?, ?, ?, ?, ?)
               ON CONFLICT (email_mac) DO NOTHING`,
            )
            .run(mac, userId, accountId, salt, passwordHash, encrypted).changes === 1,
      );
      return { outcome: first ? 'registered' : 'taken' };
    },

    async signIn(email, password) {
      if (password.length > longestPassword) return { outcome: 'refused' };
      const mac = macOf(email);
      const person = find(mac);
      // An unknown e-mail address costs the same work, so that the response time does not reveal it.
      const salt = person?.salt instanceof Uint8Array ? person.salt : nobody.salt;
      const expected = person?.password_hash instanceof Uint8Array ? person.password_hash : nobody.hash;
      const matches = timingSafeEqual(await hashPassword(password, salt), expected);
      if (!person || !matches || !(person.encrypted instanceof Uint8Array)) return { outcome: 'refused' };
      const known: JsonObject = JSON.parse(
        Buffer.from(decryptBytes(encryptionKey, person.encrypted, mac.toString('hex'))).toString(),
      );
      return {
        outcome: 'signed-in',
        userId: String(person.user_id),
        accountId: String(person.account_id),
        email: String(known.email),
        name: String(known.name),
      };
    },
  };
}
