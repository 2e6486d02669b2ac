/** `npm start -- --demo`: an account with a finished, a failed and a running run, made through the API as anybody would. */
import { fileURLToPath } from 'node:url';

const person = { email: 'demo@example.com', password: 'a demo for everyone', name: 'Demo' };
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Lines for the screen. Started again on the same data it only says how to sign in. */
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
  const failed = await backUp('A folder that is not there', { type: 'folder', config: { path: `${root}not-there` } });
  await Promise.all([finished, failed].map((id) => untilFinished(url, id, String(accessToken))));
  await backUp('Packages', { type: 'folder', config: { path: `${root}node_modules` } });
  return [signIn, '           one run has finished, one has failed, one is running'];
}

type Answer = { status: number; body: { [field: string]: unknown } };

async function call(url: string, path: string, body: object, token?: string): Promise<Answer> {
  const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const answer = { status: response.status, body: (await response.json()) as Answer['body'] };
  if (response.status >= 400 && response.status !== 409)
    throw new Error(`The demo could not be made: ${JSON.stringify(answer.body)}`);
  return answer;
}

async function untilFinished(url: string, id: string, token: string): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    const response = await fetch(`${url}/runs/${id}`, { headers: { authorization: `Bearer ${token}` } });
    if (((await response.json()) as Answer['body']).finishedAt) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
