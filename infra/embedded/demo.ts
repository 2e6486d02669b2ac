/** `npm start -- --demo`: creates an account with a finished, a failed and a running run, through the public API. */
import { fileURLToPath } from 'node:url';

const person = { email: 'demo@example.com', password: 'a demo for everyone', name: 'Demo' };
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Returns lines for the start banner. If the demo account exists already, only says how to sign in. */
export async function startDemo(url: string): Promise<string[]> {
  const signIn = `  Demo     sign in as ${person.email} with the password "${person.password}"`;
  const registered = await call(url, '/auth/register', person);
  if (registered.status === 409) return [signIn];
  const { accessToken } = (await call(url, '/auth/login', { email: person.email, password: person.password })).body;
  const api = (path: string, body: object = {}) => call(url, path, body, String(accessToken));

  const backUp = async (name: string, source: object): Promise<string> => {
    const { id: sourceId } = (await api('/sources', { name, ...source })).body;
    const { id } = (await api('/jobs', { name: `Back up ${name}`, sourceId })).body;
    return String((await api(`/jobs/${id}/run`)).body.id);
  };
  const finished = await backUp('Documentation', { type: 'folder', config: { path: `${root}docs` } });
  const failed = await backUp('Missing folder', { type: 'folder', config: { path: `${root}missing-folder` } });
  await Promise.all([finished, failed].map((id) => untilSet(url, id, 'finishedAt', String(accessToken))));
  const running = await backUp('Packages', { type: 'folder', config: { path: `${root}node_modules` } });
  await untilSet(url, running, 'startedAt', String(accessToken));
  return [signIn, '           It has one finished, one failed and one running run.'];
}

type Answer = { status: number; body: { [field: string]: unknown } };

async function call(url: string, path: string, body: object, token?: string): Promise<Answer> {
  const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const answer = { status: response.status, body: (await response.json()) as Answer['body'] };
  if (response.status >= 400 && response.status !== 409)
    throw new Error(`The server refused to create the demo data: ${JSON.stringify(answer.body)}`);
  return answer;
}

async function untilSet(url: string, id: string, field: 'startedAt' | 'finishedAt', token: string): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    const response = await fetch(`${url}/runs/${id}`, { headers: { authorization: `Bearer ${token}` } });
    if (((await response.json()) as Answer['body'])[field]) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
