/** Errors as problem documents (RFC 9457), from the server or from the CLI. */

/** Exit codes of the process. `partial`: some files of a run were not saved. `usage` is EX_USAGE of sysexits. */
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

/** Ends the command. `problem` says what happened and what to do next. */
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

/** Makes a refusal of the CLI. */
export function refusal(code: string, title: string, detail: string, exitCode?: number): Refusal {
  return new Refusal({ type: `urn:listbackup:problem:${code}`, title, detail, code }, exitCode);
}

export function interrupted(): Refusal {
  return refusal(
    'interrupted',
    'Interrupted',
    'Nothing was changed. Run the command again to continue.',
    exitCodes.interrupted,
  );
}

/** The server names its routes and fields. The CLI names its commands and options instead. */
const commandsOfRoutes: readonly [RegExp, string][] = [
  [/GET \/runs\/\{id\}\/errors/g, '`listbackup runs errors <run>`'],
  [/GET \/runs\/\{id\}/g, '`listbackup runs show <run>`'],
  [/POST \/runs\/\{id\}\/cancel/g, '`listbackup runs cancel <run>`'],
  [/POST \/jobs\/\{id\}\/run/g, '`listbackup run <job>`'],
  [/GET \/data\/files\/\{id\}\/versions/g, '`listbackup versions <path>`'],
  [/POST \/auth\/login/g, '`listbackup login`'],
  [/POST \/auth\/register/g, '`listbackup register`'],
  [/GET \/sources(?![/\w])/g, '`listbackup sources`'],
  [/GET \/jobs(?![/\w])/g, '`listbackup jobs`'],
  [/GET \/runs(?![/\w])/g, '`listbackup runs`'],
  [/GET \/activity(?![/\w])/g, '`listbackup activity`'],
  [/GET \/data\/files(?![/\w])/g, '`listbackup ls`'],
  [/POST \/data\/download(?![/\w])/g, '`listbackup get`'],
  [/`asOf`/g, '`--as-of`'],
  [/`version`/g, '`--version`'],
  [/The doctor\b/g, '`listbackup doctor`'],
];

/**
 * Returns a problem of the server, with its routes replaced by CLI commands. `url` is the URL of the request.
 * If it has the id of a run, the commands have it too.
 */
export function fromServer(document: ProblemDocument, url: string): Refusal {
  let { detail } = document;
  for (const [route, command] of commandsOfRoutes) detail = detail.replaceAll(route, command);
  const [, run] = /\/runs\/(run_\w+)/.exec(url) ?? [];
  if (run !== undefined) detail = detail.replaceAll('<run>', run);
  if (document.code === 'run-open' && typeof document.runId === 'string') {
    const { runId } = document;
    detail =
      `Run ${runId} is still open. ` +
      `Follow it with \`listbackup runs follow ${runId}\`, or cancel it with \`listbackup runs cancel ${runId}\`.`;
  }
  if (document.code === 'backup-damaged') detail = damagedDetail(document);
  return new Refusal({ ...document, detail });
}

/** `next` is set if the command reads all sources. */
function damagedDetail({ runId, at, sourceId, asOf, next }: ProblemDocument): string {
  const source = next === undefined ? '' : `--source ${sourceId} `;
  const before =
    asOf === undefined ? '' : `Repeat the command with \`${source}--as-of ${asOf}\` to use the one before it. `;
  const others = next === undefined ? '' : ' To get another source, repeat the command with `--source <source>`.';
  return (
    `The restore point of run ${runId} (${at}) is damaged. ${before}` +
    `To make a new one, run the job again with \`listbackup run <job>\`.${others}`
  );
}
