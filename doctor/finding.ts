/** Findings: the results of the checks. */

/** The kind of thing that was checked. Operators and scripts filter by it, so a name never changes. */
export type Checked =
  // the event store
  | 'ledger'
  | 'commit'
  | 'commit-blob'
  | 'event'
  | 'encrypted-field'
  // read models
  | 'row'
  | 'cursor'
  | 'parked'
  // the vault
  | 'manifest'
  | 'id-index'
  | 'node'
  | 'segment'
  | 'pack-registry'
  | 'pack-footer'
  | 'pack-slot'
  | 'file'
  | 'chunk-index'
  | 'error-page'
  | 'export'
  // working state
  | 'run'
  | 'work'
  | 'part'
  | 'credentials'
  | 'message'
  // keys and the database
  | 'key'
  | 'key-file'
  | 'database'
  // outside of ListBackup
  | 'source';

/**
 * A `failure` means that data is lost or altered, or that work would never end by itself. An `info` is harmless.
 * `where` and `detail` hold ids and numbers, never names, paths or other personal data.
 */
export type Finding = { severity: 'failure' | 'info'; what: Checked; where: string; detail: string };

/** Called for each checked thing, so that a report can count the checked things. */
export type Count = (what: Checked, many?: number) => void;

export function failure(what: Checked, where: string, detail: string): Finding {
  return { severity: 'failure', what, where, detail };
}

export function info(what: Checked, where: string, detail: string): Finding {
  return { severity: 'info', what, where, detail };
}
