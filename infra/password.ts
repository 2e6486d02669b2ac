/**
 * Which passwords are too weak, as NIST SP 800-63B-4 has it: length, and neither guessable nor known; no rules of composition.
 * Both homes ask this before they keep a password.
 */

export const shortestPassword = 12;
export const longestPassword = 256;

/** Words that the most used passwords are made of; what else is in those is digits, signs and repeats. */
const common = [
  'password',
  'passwort',
  'passw0rd',
  'p@ssword',
  'p@ssw0rd',
  'qwerty',
  'qwertz',
  'azerty',
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'iloveyou',
  'letmein',
  'welcome',
  'admin',
  'administrator',
  'abc',
  'changeme',
  'secret',
  'dragon',
  'monkey',
  'football',
  'baseball',
  'superman',
  'sunshine',
  'princess',
  'trustno1',
  'whatever',
  'listbackup',
];

/** What to do about a weak password; undefined when it is good enough. */
export function passwordWeakness(password: string, email: string): string | undefined {
  const length = [...password].length;
  if (length < shortestPassword)
    return `Take at least ${shortestPassword} characters; a few words in a row are easy to remember.`;
  if (password.length > longestPassword) return `Take at most ${longestPassword} characters.`;
  if (password !== password.trim()) return 'Leave out the blanks at its beginning and end.';
  const plain = password.toLowerCase();
  const mail = email.toLowerCase();
  if (plain === mail || plain === mail.split('@')[0]) return 'Take something other than your e-mail address.';
  if (new Set(plain).size < 4) return 'Take more than a few different characters.';
  if (isSequence(plain) || isCommon(plain))
    return 'This one is among the first to be guessed; take a few words that do not belong together.';
  return undefined;
}

/** `123456789012`, `abcdefghijkl`, `987654321098`: each character follows the one before it, digits going round. */
function isSequence(text: string): boolean {
  return [1, -1].some((step) =>
    [...text].every((character, i) => {
      if (i === 0) return true;
      const before = text.charCodeAt(i - 1);
      const code = character.charCodeAt(0);
      return code === before + step || (/\d/.test(character) && (code - 48 + 10 - step) % 10 === before - 48);
    }),
  );
}

/** Whether nothing is left of it but digits, signs and common words. */
function isCommon(text: string): boolean {
  const rest = common.toSorted((a, b) => b.length - a.length).reduce((left, word) => left.replaceAll(word, ''), text);
  return rest !== text && !/\p{L}/u.test(rest);
}
