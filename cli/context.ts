/** The context of every command: the server and the output format. */
import type { Command } from 'commander';
import { type Api, openApi } from './client.ts';
import { exitCodes, refusal } from './refusal.ts';
import { currentUrl } from './session.ts';

const defaultUrl = 'http://127.0.0.1:4000';

type GlobalOptions = { url?: string; json?: boolean };

export function wantsJson(command: Command): boolean {
  return command.optsWithGlobals<GlobalOptions>().json === true;
}

/** Returns the URL of the server, without a slash at the end. Order: `--url`, LISTBACKUP_URL, last sign-in, default. */
export async function serverUrl(command: Command): Promise<string> {
  const given =
    command.optsWithGlobals<GlobalOptions>().url ?? process.env.LISTBACKUP_URL ?? (await currentUrl()) ?? defaultUrl;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw refusal(
      'invalid-url',
      'The server URL is not valid',
      `Use a URL like ${defaultUrl}, not ${given}.`,
      exitCodes.usage,
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

export async function signedIn(command: Command): Promise<Api> {
  return openApi(await serverUrl(command));
}
