/** What every command is given: where the server is, and how to print. */
import type { Command } from 'commander';
import { type Api, openApi } from './client.ts';
import { exitCodes, refusal } from './refusal.ts';
import { currentUrl } from './session.ts';

const defaultUrl = 'http://127.0.0.1:4000';

type GlobalOptions = { url?: string; json?: boolean };

export function wantsJson(command: Command): boolean {
  return command.optsWithGlobals<GlobalOptions>().json === true;
}

/** `--url`, else LISTBACKUP_URL, else where one is signed in, else this machine. No slash at the end. */
export async function serverUrl(command: Command): Promise<string> {
  const given =
    command.optsWithGlobals<GlobalOptions>().url ?? process.env.LISTBACKUP_URL ?? (await currentUrl()) ?? defaultUrl;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw refusal(
      'invalid-url',
      'That is no address of a server',
      `Give one like ${defaultUrl}, not ${given}.`,
      exitCodes.usage,
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

export async function signedIn(command: Command): Promise<Api> {
  return openApi(await serverUrl(command));
}
