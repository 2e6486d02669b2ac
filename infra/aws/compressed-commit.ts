/**
 * Commits as they rest in the table, in half the bytes: raw DEFLATE (RFC 1951) with a preset dictionary of what most of them say, then the
 * stream and the time, which the item has beside. What is hashed and signed are the bytes that come out.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';

/** What is at rest opens with this alone: never change it. Another one needs another attribute. The likeliest stands last. */
const known = Buffer.from(
  [
    '"reason":"signed-out"}}]}"session.ended.v1","data":{"sessionId":"ses_"session.opened.v1"',
    '"download.granted.v1","download.requested.v1","data":{"downloadId":"dld_","path":null,"version":null,"size":',
    '{"type":"system","id":"commit-run"},"correlationId":"run_fail-run"store-batch"plan-run"',
    '"outcome":"cancelled","failed","partial","reason":null,"errors":null,"errors":[],"errorPages":0',
    '"batch.stored.v1","batch":1,"partHash":"packs":["pack_","cost":{"requests":"usd":0.00',
    '"run.started.v1","run.planned.v1","batches":1,"since":null,"run.finished.v1","outcome":"succeeded",',
    '"counts":{"filesTotal":"filesUnchanged":0,"filesDone":0,"filesDeleted":0,"filesFailed":0,"filesSkipped":0,"bytesRead":0,"bytesStored":0,"bytesTotal":',
    '"run.ended.v1","lastEndedRunId":"run_"restore-point.created.v1","manifest":{"id":"man_","hash":"},"totals":{"files":0,"folders":0,"links":0,"bytes":0},"before":',
    '"run.requested.v1","data":{"runId":"run_","jobId":"job_","sourceId":"src_","backupChain":{"openRun":null,"newestRestorePoint":null,"runs":1}}}]}{"runId":"run_","requestedAt":"2026-',
    '"account.opened.v1","data":{"accountId":"acc_","ownerId":"usr_"user.registered.v1","data":{"userId":"usr_","email":{"$encrypted":"',
    '"source.disconnected.v1"source.changed.v1"source.connected.v1","data":{"sourceId":"src_","kind":"folder","s3","config":{"$encrypted":"',
    '"job.deleted.v1"job.renamed.v1"job.created.v1","data":{"jobId":"job_","sourceId":"src_","name":{"$encrypted":"',
    '=","subject":"usr_"},"subject":"src_"}}}]}","subject":"acc_"}}}]}',
    '.000Z","actor":{"type":"user","id":"usr_"},"commandId":"0123456789abcdef","correlationId":"req_","events":[{"id":"evt_","type":"',
    '{"at":"20',
  ].join(''),
);

/** An item has at most 400 KB: what would come out larger is none of ours. */
const most = 1024 * 1024;

type CommitRef = { stream: string; at: string };

function dictionary({ stream, at }: CommitRef): Buffer {
  return Buffer.concat([known, Buffer.from(`${stream.replaceAll('/', '"')}{"at":"${at}`)]);
}

/** undefined where it would not be smaller. */
export function compress(bytes: Uint8Array, commitRef: CommitRef): Uint8Array | undefined {
  const compressed = deflateRawSync(bytes, { dictionary: dictionary(commitRef), level: 9 });
  return compressed.length < bytes.length ? compressed : undefined;
}

/** The bytes; of what is damaged, or was not squeezed for that place, others, which the hash of the commit tells from these. */
export function decompress(compressed: Uint8Array, commitRef: CommitRef): Uint8Array {
  try {
    return inflateRawSync(compressed, { dictionary: dictionary(commitRef), maxOutputLength: most });
  } catch {
    return compressed;
  }
}
