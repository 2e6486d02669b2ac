import { describe, expect, it } from 'vitest';
import { passwordWeakness } from '../../infra/password.ts';

const email = 'zoe.oneill@example.com';

describe('rejects a password', () => {
  it.each([
    ['with fewer than 12 characters', 'elevenchars', /12 characters/],
    ['with fewer than 12 characters but more code units', '🎉'.repeat(11), /12 characters/],
    ['with more than 256 characters', 'x9 '.repeat(86), /at most 256/],
    ['with a space at an end', ' edge blanks here', /spaces/],
    ['that is the e-mail address', email.toUpperCase(), /e-mail/],
    ['made of the e-mail address and digits', 'zoe.oneill2026', /personal/],
    ['made of the name of the product and digits', 'listbackup2026', /page related/],
    ['that repeats a few characters', 'abcabcabcabc', /Repeated character/],
    ['that repeats a few characters many times', 'ab1'.repeat(85), /Repeated character/],
    ['of increasing digits', '123456789012', /commonly used/],
    ['of decreasing digits', '987654321098', /sequences/],
    ['of increasing letters', 'abcdefghijklm', /sequences/],
    ['of a common word and digits', 'Password1234', /commonly used/],
    ['of a common word with substituted letters', 'P@ssw0rd!!!!', /commonly used/],
    ['of keys in a row', 'qwertyuiop123', /commonly used/],
  ])('%s', async (_, password, advice) => {
    expect(await passwordWeakness(password, email)).toMatch(advice);
  });
});

describe('accepts a password', () => {
  it.each([
    ['of several words', 'correct horse battery staple'],
    ['of lower case letters and hyphens', 'only-lower-case'],
    ['of 256 characters', `${'long and longer '.repeat(15)}ends with an é!!`],
    ['in another script', 'пароль из пяти разных слов'],
    ['with a common word among others', 'my admin grows radishes'],
    ['of several common words and a year', 'letmein-Welcome!!2026'],
  ])('%s', async (_, password) => {
    expect(await passwordWeakness(password, email)).toBeUndefined();
  });
});
