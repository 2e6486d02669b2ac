/** Sends requests unchanged. Other HTTP clients would correct malformed ones. */
import { request } from 'node:http';

export type Sent = { method: string; path: string; headers?: { [name: string]: string }; body?: string | Buffer };
export type Got = { status: number; headers: { [name: string]: string | string[] | undefined }; text: string };

export function sender(url: string): (sent: Sent) => Promise<Got> {
  const { hostname, port, pathname } = new URL(url);
  const base = pathname.replace(/\/$/, '');
  return ({ method, path, headers = {}, body }) =>
    new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      const sending = request(
        { hostname, port, method, path: `${base}${path.replaceAll(' ', '%20')}`, headers: { ...length, ...headers } },
        (answer) => {
          const pieces: Buffer[] = [];
          answer.on('data', (piece: Buffer) => pieces.push(piece));
          answer.on('end', () =>
            resolve({
              status: answer.statusCode ?? 0,
              headers: answer.headers,
              text: Buffer.concat(pieces).toString(),
            }),
          );
          answer.on('error', reject);
        },
      );
      sending.on('error', reject);
      sending.end(body);
    });
}
