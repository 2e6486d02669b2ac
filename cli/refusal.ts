/** What goes wrong, as a problem document (RFC 9457): the server's own, or one of ours with the same members. */

/** The process's exit codes. 2 is a run that saved all but some files; 64 is sysexits' EX_USAGE. */
export const exitCodes = { succeeded: 0, failed: 1, partial: 2, usage: 64, interrupted: 130 } as const;

export type ProblemDocument = {
  title: string;
  detail: string;
  code: string;
  type?: string;
  status?: number;
  errors?: { path: string; message: string }[] | undefined;
  [member: string]: unknown;
};

/** Ends the command: `problem` says what happened and what to do next. */
export class Refusal extends Error {
  readonly problem: ProblemDocument;
  readonly exitCode: number;

  constructor(problem: ProblemDocument, exitCode: number = exitCodes.failed) {
    super(problem.detail);
    this.name = 'Refusal';
    this.problem = problem;
    this.exitCode = exitCode;
  }
}

/** One of ours. */
export function refusal(code: string, title: string, detail: string, exitCode?: number): Refusal {
  return new Refusal({ type: `urn:listbackup:problem:${code}`, title, detail, code }, exitCode);
}

export function interrupted(): Refusal {
  return refusal(
    'interrupted',
    'Interrupted',
    'Nothing was changed. Run the command again to go on.',
    exitCodes.interrupted,
  );
}

/** The server speaks of its routes; here they are commands. */
const inOurWords: readonly [RegExp, string][] = [
  [/GET \/sources(?![/\w])/g, '`listbackup sources`'],
  [/GET \/jobs(?![/\w])/g, '`listbackup jobs`'],
  [/GET \/runs(?![/\w])/g, '`listbackup runs`'],
  [/GET \/data\/files(?![/\w])/g, '`listbackup ls`'],
  [/POST \/data\/download(?![/\w])/g, '`listbackup get`'],
];

/** The server's problem, with what to do next in terms of this program. */
export function fromServer(document: ProblemDocument): Refusal {
  let { detail } = document;
  for (const [route, command] of inOurWords) detail = detail.replaceAll(route, command);
  if (document.code === 'run-open' && typeof document.runId === 'string') {
    detail = `Run ${document.runId} is still open. Follow it: \`listbackup runs follow ${document.runId}\`, or end it: \`listbackup runs cancel ${document.runId}\`.`;
  }
  return new Refusal({ ...document, detail });
}
