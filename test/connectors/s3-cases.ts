/** Test cases of the s3 connector, for any server. */
import type { TestSource } from './suite.ts';

export function wrongS3Settings(server: {
  endpoint: string;
  credentials: { [field: string]: string };
}): TestSource['wrong'] {
  return [
    { config: { endpoint: server.endpoint }, field: 'config.bucket' },
    { config: { bucket: 'a/b' }, field: 'config.bucket' },
    { config: { bucket: 'listing--use1-az4--x-s3' }, field: 'config.bucket' },
    { config: { bucket: 'bucket', region: 'eu.evil.example/' }, field: 'config.region' },
    { config: { bucket: 'bucket', endpoint: 'http://169.254.169.254/' }, field: 'config.endpoint' },
    { config: { bucket: 'bucket', endpoint: 'https://s3.example.com/?x=1' }, field: 'config.endpoint' },
    { config: { bucket: 'bucket', prefix: 7 }, field: 'config.prefix' },
    { credentials: { accessKeyId: 'id' }, field: 'credentials.secretAccessKey' },
    { credentials: { accessKeyId: 'id', secretAccessKey: 'two words' }, field: 'credentials.secretAccessKey' },
    { credentials: { ...server.credentials, sessionToken: 'x' }, field: 'credentials.sessionToken' },
  ];
}

export const awkwardKeys = [
  ' leading and trailing ',
  '+plus+and space',
  '../up',
  './dot/../dots',
  '/leading slash',
  'a//b',
  'a/b/',
  'ampersand & <tag> "quoted" \'single\'',
  'control\u0001\t\n',
  'percent%20%2F%zz',
  'query?x=1#fragment',
  'e\u0301 and \u00e9',
  '\u{1f469}\u200d\u{1f680}',
  'x'.repeat(1000),
  '!()*~_-.',
  '\\back\\slash',
];
