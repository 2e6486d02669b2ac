/** How the user starts the program. Hints must repeat it, because in a checkout only `npx listbackup` works. */
export const programName = process.env.npm_command === 'exec' ? 'npx listbackup' : 'listbackup';

/** Replaces `listbackup` at the start of each quoted command with the name under which the program was started. */
export function withProgramName(text: string): string {
  return text.replaceAll('`listbackup ', `\`${programName} `);
}
