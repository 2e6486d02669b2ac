import { describe, expect, it } from 'vitest';
import { passwordWeakness } from '../../infra/password.ts';

const email = 'zoe.oneill@example.com';

describe('refuses a password', () => {
  it.each([
    ['short', 'elevenchars', /12 characters/],
    ['short, counted in characters and not in code units', '🎉'.repeat(11), /12 characters/],
    ['endless', 'x9 '.repeat(86), /at most 256/],
    ['blank at an end', ' edge blanks here', /blanks/],
    ['the e-mail address', email.toUpperCase(), /e-mail/],
    ['a few characters over and over', 'abcabcabcabc', /different characters/],
    ['digits in a row', '123456789012', /guessed/],
    ['digits in a row backwards', '987654321098', /guessed/],
    ['letters in a row', 'abcdefghijklm', /guessed/],
    ['a common word and digits', 'Password1234', /guessed/],
    ['common words in a row', 'letmein-Welcome!!2026', /guessed/],
  ])('when it is %s', (_, password, advice) => {
    expect(passwordWeakness(password, email)).toMatch(advice);
  });
});

describe('accepts a password', () => {
  it.each([
    ['several words', 'correct horse battery staple'],
    ['lower case only', 'only-lower-case'],
    ['of 256 characters', `${'long and longer '.repeat(15)}ends with an é!!`],
    ['in any script', 'пароль из пяти разных слов'],
    ['a common word among others', 'my admin grows radishes'],
  ])('when it is %s', (_, password) => {
    expect(passwordWeakness(password, email)).toBeUndefined();
  });
});
