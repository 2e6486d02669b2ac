/** What a refusal has to be, whatever was wrong. */
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

/** What is wrong with the answer to that case, in words; nothing when it is as it should be. */
export function faultsOf({ what, sent, status, field, allow }: Case, got: Got): string[] {
  const faults: string[] = [];
  const must = (holds: boolean, said: string) => {
    if (!holds) faults.push(`${what}: ${said} — ${got.status} ${got.text.slice(0, 300)}`);
  };
  must([status].flat().includes(got.status), `status is not ${[status].flat().join(' or ')}`);
  if (allow) must(/OPTIONS/.test(String(got.headers.allow)), 'no Allow');
  if (got.status === 401) must(String(got.headers['www-authenticate']).startsWith('Bearer '), 'no WWW-Authenticate');
  must(/^application\/problem\+json/.test(String(got.headers['content-type'])), `it is ${got.headers['content-type']}`);
  must(got.headers['cache-control'] === 'no-store', 'it may be cached');
  if (sent.method === 'HEAD') return faults;
  let problem: Problem = {};
  try {
    problem = JSON.parse(got.text) as Problem;
  } catch {
    must(false, 'no JSON');
  }
  for (const member of ['type', 'title', 'detail', 'code'] as const) {
    must(typeof problem[member] === 'string' && problem[member] !== '', `no ${member}`);
  }
  must(problem.status === got.status, 'another status in the document');
  must(problem.type === `urn:listbackup:problem:${problem.code}`, 'type and code differ');
  // a sentence that says what to do, not a word or a dump of what came in
  must(/^[A-Z«].{10,400}[.)]$/su.test(String(problem.detail)), 'a detail that is no sentence');
  if (field !== undefined) {
    const named = (problem.errors ?? []).map(({ path }) => path);
    must(
      named.some((path) => path === field || path.startsWith(`${field}.`)),
      `errors[] do not name ${field}`,
    );
  }
  must(
    (problem.errors ?? []).every(({ message }) => message.length > 3),
    'an error without a message',
  );
  return faults;
}

/** The faults of all of them, sent a few at a time. */
export async function attacked(
  cases: readonly Case[],
  send: (sent: Sent) => Promise<Got>,
  atOnce = 8,
): Promise<string[]> {
  const faults: string[] = [];
  const open = [...cases];
  const worker = async () => {
    for (let next = open.shift(); next; next = open.shift()) {
      const one = next;
      const got = await send(one.sent).catch((error: Error) => ({ status: 0, headers: {}, text: `${error}` }));
      faults.push(...faultsOf(one, got));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return faults;
}
