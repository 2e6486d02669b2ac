/** The list of all aggregates. From it come the wire names, the versions and the personal fields of all events. */
import { type AccountEvent, account } from './account.ts';
import { type BackupChainEvent, backupChain } from './backup-chain.ts';
import { type DownloadEvent, download } from './download.ts';
import { type JobEvent, job } from './job.ts';
import { type SessionEvent, session } from './session.ts';
import { type SourceEvent, source } from './source.ts';
import { type UserEvent, user } from './user.ts';

export type AnyEvent =
  | AccountEvent
  | DownloadEvent
  | JobEvent
  | BackupChainEvent
  | SessionEvent
  | SourceEvent
  | UserEvent;

export const aggregates = [account, download, job, backupChain, session, source, user];
