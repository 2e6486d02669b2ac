/** Checks that a server rejects malformed requests with a proper problem document. */
import type { Case } from './cases.ts';
import type { Got, Sent } from './send.ts';

type Problem = {
  type?: unknown;
  title?: unknown;
  status?: unknown;
  detail?: unknown;
  code?: unknown;
  errors?: { path: string; message: string }[];
};

/** Returns the faults of an answer to a case, as sentences. */
export function faultsOf({ what, sent, status, field, allow }: Case, got: Got): string[] {
  const faults: string[] = [];
  const must = (holds: boolean, fault: string) => {
    if (!holds) faults.push(`${what}: ${fault} — ${got.status} ${got.text.slice(0, 300)}`);
  };
  must([status].flat().includes(got.status), `the status is not ${[status].flat().join(' or ')}`);
  if (allow) must(/OPTIONS/.test(String(got.headers.allow)), 'Allow is missing');
  if (got.status === 401)
    must(String(got.headers['www-authenticate']).startsWith('Bearer '), 'WWW-Authenticate is missing');
  must(
    /^application\/problem\+json/.test(String(got.headers['content-type'])),
    `the content type is ${got.headers['content-type']}`,
  );
  must(got.headers['cache-control'] === 'no-store', 'caching is allowed');
  if (sent.method === 'HEAD') return faults;
  let problem: Problem = {};
  try {
    problem = JSON.parse(got.text) as Problem;
  } catch {
    must(false, 'the body is not JSON');
  }
  for (const member of ['type', 'title', 'detail', 'code'] as const) {
    must(typeof problem[member] === 'string' && problem[member] !== '', `${member} is missing`);
  }
  must(problem.status === got.status, 'the document has another status');
  must(problem.type === `urn:listbackup:problem:${problem.code}`, 'type and code differ');
  // A sentence, not a single word and not a copy of the input.
  must(/^[A-Z«].{10,400}[.)]$/su.test(String(problem.detail)), 'the detail is not a sentence');
  if (field !== undefined) {
    const paths = (problem.errors ?? []).map(({ path }) => path);
    must(
      paths.some((path) => path === field || path.startsWith(`${field}.`)),
      `errors[] do not name ${field}`,
    );
  }
  must(
    (problem.errors ?? []).every(({ message }) => message.length > 3),
    'an error has no message',
  );
  return faults;
}

/** Sends all cases, `parallel` at a time, and returns their faults. */
export async function attack(
  cases: readonly Case[],
  send: (sent: Sent) => Promise<Got>,
  parallel = 8,
): Promise<string[]> {
  const faults: string[] = [];
  const pending = [...cases];
  const worker = async () => {
    for (let next = pending.shift(); next; next = pending.shift()) {
      const current = next;
      const got = await send(current.sent).catch((error: Error) => ({ status: 0, headers: {}, text: `${error}` }));
      faults.push(...faultsOf(current, got));
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return faults;
}
