/** The numbers of a walk of the reconcile. */

export type Counts = {
  /** Streams compared. A stream counts once per day with news, and in a walk over all streams once per page. */
  streams: number;
  /** Accounts whose ledger was compared. Each visit that continues the walk counts them again. */
  accounts: number;
  /** Streams with commits that are missing in the ledger. */
  missing: number;
  /** Accounts with ledger entries that were not published on the bus. */
  unpublished: number;
  /** By projection: streams with commits that its read model lacks. */
  behind: { [projection: string]: number };
  /** Of all these lags: the number repaired, and the number that remain. */
  repaired: number;
  notRepaired: number;
  /** Sequence numbers without a ledger entry. The reconcile cannot repair them. */
  ledgerGaps: number;
};

export function noCounts(): Counts {
  return {
    streams: 0,
    accounts: 0,
    missing: 0,
    unpublished: 0,
    behind: {},
    repaired: 0,
    notRepaired: 0,
    ledgerGaps: 0,
  };
}

export function add(a: Counts, b: Counts): Counts {
  const behind = { ...a.behind };
  for (const [name, count] of Object.entries(b.behind)) behind[name] = (behind[name] ?? 0) + count;
  const { streams, accounts, missing, unpublished, repaired, notRepaired, ledgerGaps } = a;
  return {
    streams: streams + b.streams,
    accounts: accounts + b.accounts,
    missing: missing + b.missing,
    unpublished: unpublished + b.unpublished,
    behind,
    repaired: repaired + b.repaired,
    notRepaired: notRepaired + b.notRepaired,
    ledgerGaps: ledgerGaps + b.ledgerGaps,
  };
}
