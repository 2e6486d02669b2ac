/**
 * The set of an account's live sockets: those that get the same messages at the same time. Its record in `Records`
 * holds the position of the set in the ledger. One process at a time sends to the set: the one that holds its turn.
 * Other processes count a notification instead, and the turn cannot end before its process has looked again.
 */
import type { Platform, RecordKey, RecordWrite } from '../../domain/ports.ts';

type State = {
  /** The members got all messages of the ledger up to this number. */
  done: number;
  /** The id of the turn, empty if no process is sending. */
  turn: string;
  /** When the turn expires, in milliseconds since the epoch. */
  turnEnds: number;
  /** Messages about open runs since the entry `done`. */
  between: number;
  /** Counts notifications during the turn. */
  notifications: number;
};

export type Turn = {
  id: string;
  /** The position of the set. The caller advances it. */
  done: number;
  /** Messages about open runs since that position. The caller counts them. */
  between: number;
  /** False: the last turn did not end, so nobody knows which messages the members got. */
  isPositionKnown: boolean;
  /** Extends the turn and saves the position when that is due. False: the turn is lost. */
  renew(): Promise<boolean>;
  /** Saves the position and ends the turn. `look`: a notification came since the last look. */
  end(): Promise<'ended' | 'look' | 'lost'>;
  /** Ends the turn although notifications may have come. */
  leave(): Promise<void>;
};

/** A turn that is not renewed within this time belongs to a process that died. */
export const turnMs = 60_000;
export const renewMs = 10_000;

/** Takes the turn of the set. Undefined: another process has it and will look again. */
export async function takeTurn(platform: Platform, account: string, keepSeconds: number): Promise<Turn | undefined> {
  const { records, now } = platform;
  const key = keyOf(account);
  const id = Buffer.from(platform.random(8)).toString('hex');
  const read = async () => (await records.get(key))?.data as State | undefined;
  const replace = (from: State | undefined, data: State) => {
    const expiresAt = Math.floor(now() / 1000) + keepSeconds;
    return records.write([{ op: 'put', ...key, data, expiresAt, if: from ? { equals: from } : 'absent' }]);
  };

  let isPositionKnown = false;
  let taken: State | undefined;
  while (!taken) {
    const found = await read();
    // The answer to an earlier write was lost.
    if (found?.turn === id) taken = found;
    else if (found && found.turn !== '' && found.turnEnds > now()) {
      if (await count(platform, account, found.turn)) return undefined;
    } else {
      isPositionKnown = found?.turn === '';
      const next = {
        done: found?.done ?? 0,
        between: found?.between ?? 0,
        turn: id,
        turnEnds: now() + turnMs,
        notifications: 0,
      };
      if (await replace(found, next)) taken = next;
    }
  }
  let state = taken;
  let looked = 0;
  let savedAt = now();

  /** Repeats the write when notifications were counted meanwhile. False: the turn is lost. */
  async function save(changes: Partial<State>, unlessNotified: boolean): Promise<boolean | 'notified'> {
    for (;;) {
      if (unlessNotified && state.notifications !== looked) return 'notified';
      const next = { ...state, done: turn.done, between: turn.between, turnEnds: now() + turnMs, ...changes };
      if (await replace(state, next)) {
        state = next;
        savedAt = now();
        return true;
      }
      const found = await read();
      if (found?.turn !== id) return false;
      state = found;
    }
  }

  const turn: Turn = {
    id,
    done: taken.done,
    between: taken.between,
    isPositionKnown,
    renew: async () => now() - savedAt < renewMs || (await save({}, false)) === true,
    async end() {
      const saved = await save({ turn: '' }, true);
      if (saved !== 'notified') return saved ? 'ended' : 'lost';
      looked = state.notifications;
      return 'look';
    },
    leave: async () => void (await save({ turn: '' }, false)),
  };
  return turn;
}

function count({ records }: Platform, account: string, turn: string): Promise<boolean> {
  return records.write([{ op: 'add', ...keyOf(account), add: { notifications: 1 }, if: { equals: { turn } } }]);
}

/** Makes a write depend on this turn of the set. */
export function checkTurn(account: string, turn: string): RecordWrite {
  return { op: 'check', ...keyOf(account), if: { equals: { turn } } };
}

function keyOf(account: string): RecordKey {
  return { pk: `live-set#${account}`, sk: 'set' };
}
