/** Prompts on standard error. Without a terminal they throw a refusal that names the option to use instead. */
import { confirm, isCancel, password, text } from '@clack/prompts';
import { exitCodes, interrupted, refusal } from './refusal.ts';

const output = process.stderr;

/** Asks for a value. `message` is its name. `instead` says how to provide it without a prompt. */
export async function ask(message: string, instead: string): Promise<string> {
  mustBeTerminal(missing(message), instead);
  return orInterrupted(await text({ message, output, validate: notEmpty }));
}

/** Asks for text like `ask`, without showing what the user types. */
export async function askSecret(message: string, instead: string): Promise<string> {
  mustBeTerminal(missing(message), instead);
  return orInterrupted(await password({ message, output, validate: notEmpty }));
}

/** Throws a refusal unless the user agrees to remove something. */
export async function mustConfirm(message: string): Promise<void> {
  mustBeTerminal('Nothing was removed', 'Repeat the command with --yes.');
  if (!orInterrupted(await confirm({ message, output, initialValue: false }))) throw interrupted();
}

/** Reads the first line of standard input. */
export async function firstLineOfInput(): Promise<string> {
  let read = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    read += chunk;
    if (read.includes('\n')) break;
  }
  return read.split(/\r?\n/, 1)[0] ?? '';
}

function mustBeTerminal(otherwise: string, instead: string): void {
  if (!process.stdin.isTTY) throw refusal('no-terminal', otherwise, instead, exitCodes.usage);
}

/** `Access key ID` → `The access key ID is missing` */
function missing(name: string): string {
  return `The ${name.charAt(0).toLowerCase()}${name.slice(1)} is missing`;
}

function notEmpty(value: string | undefined): string | undefined {
  return value ? undefined : 'Enter a value, or press Ctrl+C.';
}

function orInterrupted<T>(answer: T): Exclude<T, symbol> {
  if (isCancel(answer)) throw interrupted();
  return answer as Exclude<T, symbol>;
}
