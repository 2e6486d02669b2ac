/** Secrets and personal data that the tests plant in every input. */
export const plantedData = {
  email: 'plantedData.person@example.com',
  password: 'plantedData password phrase',
  person: 'Planted Surname',
  secret: 'plantedSecretKey+/=0123456789',
  source: 'Planted source name',
  job: 'Planted job name',
  prefix: 'plantedData-prefix',
  path: 'plantedData-path-of-a-file',
  frozen: 'plantedData-path-that-fails',
  content: 'plantedData content of a file',
};

/** Finds the text in clear, or in base64 at any of the three offsets. */
export function containsText(bytes: Buffer, text: string): boolean {
  const encoded = [0, 1, 2].map((offset) =>
    Buffer.from(`${'x'.repeat(offset)}${text}`)
      .toString('base64')
      .slice(4, -4),
  );
  return [text, ...encoded].some((text) => bytes.includes(text));
}
