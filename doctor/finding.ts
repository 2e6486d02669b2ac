/** What a check has to say: of damage and loss, and of what is harmless but worth knowing. */

/** The kind of thing it is about; operators and tests go by it, so a name stays for ever. */
export type Checked =
  // the log
  | 'ledger'
  | 'commit'
  | 'commit-blob'
  | 'event'
  | 'encrypted-field'
  // what is made from it
  | 'row'
  | 'cursor'
  | 'parked'
  // the vault
  | 'manifest'
  | 'segment'
  | 'pack-footer'
  | 'pack-slot'
  | 'file'
  | 'chunk-index'
  | 'error-page'
  | 'export'
  // working state
  | 'run'
  | 'tally'
  | 'work'
  | 'part'
  | 'credentials'
  | 'message'
  // what all of it rests on
  | 'key'
  | 'key-file'
  | 'database'
  // outside of the house
  | 'source';

/**
 * `failure`: something is lost, altered, or would never end by itself. `info`: as it may be.
 * `where` is made of ids, never of names, paths or other personal data; `detail` neither.
 */
export type Finding = { severity: 'failure' | 'info'; what: Checked; where: string; detail: string };

/** Called for each thing that was looked at, so that a report can say what "nothing found" covers. */
export type Count = (what: Checked, many?: number) => void;

export function failure(what: Checked, where: string, detail: string): Finding {
  return { severity: 'failure', what, where, detail };
}

export function info(what: Checked, where: string, detail: string): Finding {
  return { severity: 'info', what, where, detail };
}
