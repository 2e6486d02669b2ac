/** Secrets and personal data that the tests plant in every input. */
export const planted = {
  email: 'planted.person@example.com',
  password: 'planted password phrase',
  person: 'Planted Surname',
  secret: 'plantedSecretKey+/=0123456789',
  source: 'Planted source name',
  job: 'Planted job name',
  prefix: 'planted-prefix',
  path: 'planted-path-of-a-file',
  frozen: 'planted-path-that-fails',
  content: 'planted content of a file',
};

/** Finds the text in clear, or in base64 at any of the three offsets. */
export function holds(bytes: Buffer, needle: string): boolean {
  const encoded = [0, 1, 2].map((offset) =>
    Buffer.from(`${'x'.repeat(offset)}${needle}`)
      .toString('base64')
      .slice(4, -4),
  );
  return [needle, ...encoded].some((text) => bytes.includes(text));
}
