/** Questions to the person at the terminal, on standard error. Scripts have no one to ask: they are told what to give instead. */
import { confirm, isCancel, password, text } from '@clack/prompts';
import { exitCodes, interrupted, refusal } from './refusal.ts';

const output = process.stderr;

/** `instead`: how to give it without being asked. */
export async function ask(message: string, instead: string): Promise<string> {
  mustBeTerminal(message, instead);
  return orInterrupted(await text({ message, output, validate: notEmpty }));
}

/** As `ask`; what is typed does not show. */
export async function askSecret(message: string, instead: string): Promise<string> {
  mustBeTerminal(message, instead);
  return orInterrupted(await password({ message, output, validate: notEmpty }));
}

/** Throws a refusal unless the person agrees. */
export async function mustConfirm(message: string, instead: string): Promise<void> {
  mustBeTerminal(message, instead);
  if (!orInterrupted(await confirm({ message, output, initialValue: false }))) throw interrupted();
}

/** The first line of standard input. */
export async function firstLineOfInput(): Promise<string> {
  let read = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    read += chunk;
    if (read.includes('\n')) break;
  }
  return read.split(/\r?\n/, 1)[0] ?? '';
}

function mustBeTerminal(message: string, instead: string): void {
  if (!process.stdin.isTTY) throw refusal('no-terminal', `${message} is needed`, instead, exitCodes.usage);
}

function notEmpty(value: string | undefined): string | undefined {
  return value ? undefined : 'Type something, or press Ctrl+C.';
}

function orInterrupted<T>(answer: T): Exclude<T, symbol> {
  if (isCancel(answer)) throw interrupted();
  return answer as Exclude<T, symbol>;
}
