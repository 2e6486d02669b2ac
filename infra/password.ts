/**
 * Decides which passwords are too weak, for both deployments. Follows NIST SP 800-63B-4, section 3.1.1.2: a minimum
 * length and a blocklist, and no rules of composition. The blocklist is the estimate of zxcvbn, which knows common
 * passwords, names, words, sequences and keyboard patterns.
 */
import type { ZxcvbnFactory } from '@zxcvbn-ts/core';

/** Characters (code points). */
export const shortestPassword = 12;
/** UTF-16 code units. */
export const longestPassword = 256;

/** zxcvbn's scale is 0 to 4. 3 means 10^8 guesses or more. */
const leastScore = 3;
/**
 * The estimate runs in the event loop. Its time grows with the length and with the ways to read digits as letters. With
 * these limits it takes at most some 30 ms.
 */
const limits = { maxLength: 24, l33tMaxSubstitutions: 10 };

/** Returns what to do about a weak password, or undefined if the password is strong enough. */
export async function passwordWeakness(password: string, email: string): Promise<string | undefined> {
  if ([...password].length < shortestPassword)
    return `Use at least ${shortestPassword} characters. A few words in a row are easy to remember.`;
  if (password.length > longestPassword) return `Use at most ${longestPassword} characters.`;
  if (password !== password.trim()) return 'Remove the spaces at the beginning and end.';
  const [lower, lowerEmail] = [password.toLowerCase(), email.toLowerCase()];
  const name = lowerEmail.split('@')[0] ?? '';
  if (lower === lowerEmail || lower === name) return 'Use a password other than your e-mail address.';
  const { score, feedback } = (await estimator()).check(password, [lowerEmail, name, 'listbackup']);
  if (score >= leastScore) return undefined;
  const reason = feedback.warning ?? 'This password is easy to guess.';
  return `${reason} Use a few words that do not belong together.`;
}

let loading: Promise<ZxcvbnFactory> | undefined;

/** Loads the estimator at first use: its dictionaries are 1.6 MB, which a start should not wait for. */
function estimator(): Promise<ZxcvbnFactory> {
  loading ??= load();
  return loading;
}

async function load(): Promise<ZxcvbnFactory> {
  const [{ ZxcvbnFactory }, common, english] = await Promise.all([
    import('@zxcvbn-ts/core'),
    import('@zxcvbn-ts/language-common'),
    import('@zxcvbn-ts/language-en'),
  ]);
  return new ZxcvbnFactory({
    dictionary: { ...common.dictionary, ...english.dictionary },
    graphs: common.adjacencyGraphs,
    translations: english.translations,
    ...limits,
  });
}
