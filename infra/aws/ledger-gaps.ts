/** Finds missing entries in ledgers. It checks each entry once, because checked entries do not change. */
import { inParallel } from '../../domain/parallel.ts';
import type { Platform, RecordKey } from '../../domain/ports.ts';
import type { LedgerProgress } from './ledger-progress.ts';

type Parts = Pick<Platform, 'records' | 'log'> & { ledger: LedgerProgress };

/**
 * The number of missing entries in the ledgers of these accounts after the last checked one. A check moves past whole
 * ranges only, so each call finds a gap again until its entries are restored. `all` checks the ledgers from their
 * start.
 */
export async function ledgerGapsIn(parts: Parts, accounts: string[], all: boolean): Promise<number> {
  const { ledger, records, log } = parts;
  const known = await records.getMany(accounts.map(keyOf));
  const checkedUpTo = new Map(known.map(({ sk, data }) => [sk, Number(data.checked)]));
  let total = 0;
  await inParallel(8, await ledger.accounts(accounts), async ({ account, head }) => {
    const checked = checkedUpTo.get(keyOf(account).sk) ?? 0;
    // A restored ledger may be shorter than before.
    const numbers = await ledger.ledgerGaps(account, all || head < checked ? 0 : checked, head);
    total += numbers;
    if (numbers > 0)
      log.error('A ledger lacks entries. Restore them from the point-in-time recovery of its table.', {
        account,
        numbers,
        head,
      });
    else if (head !== checked) await records.write([{ op: 'put', ...keyOf(account), data: { checked: head } }]);
  });
  return total;
}

function keyOf(account: string): RecordKey {
  return { pk: 'reconcile', sk: `ledger/${account}` };
}
