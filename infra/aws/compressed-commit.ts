/**
 * Compression of commits in the table, which halves their bytes: raw DEFLATE (RFC 1951) with a preset dictionary. The
 * dictionary has the texts that most commits contain, then the stream and time of the commit, which the item stores
 * anyway. Hashes and signatures cover the decompressed bytes.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';

/**
 * Never change this: stored commits decompress with exactly these bytes. A new dictionary needs a new attribute.
 * DEFLATE encodes near matches shorter, so the likeliest texts come last.
 */
const commonTexts = Buffer.from(
  [
    '"reason":"signed-out"}}]}"session.ended.v1","data":{"sessionId":"ses_"session.opened.v1"',
    '"download.granted.v1","download.requested.v1","data":{"downloadId":"dow_","path":null,"version":null,"size":',
    '{"type":"system","id":"commit-run"},"correlationId":"run_fail-run"store-batch"plan-run"',
    '"outcome":"cancelled","failed","partial","reason":null,"errors":null,"errors":[],"errorPages":0',
    '"batch.stored.v1","batch":1,"partHash":"packs":["pak_","cost":{"requests":"usd":0.00',
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

/** Larger output comes from damaged input: commits over 64 KB are stored in blobs. */
const maxBytes = 1024 * 1024;

type CommitRef = { stream: string; at: string };

/** Returns undefined when the compressed bytes are not smaller. */
export function compress(bytes: Uint8Array, commit: CommitRef): Uint8Array | undefined {
  const compressed = deflateRawSync(bytes, { dictionary: dictionaryOf(commit), level: 9 });
  return compressed.length < bytes.length ? compressed : undefined;
}

/**
 * Returns other bytes, and does not throw, when the input is damaged or was compressed for another commit. The hash of
 * the commit reveals it.
 */
export function decompress(compressed: Uint8Array, commit: CommitRef): Uint8Array {
  try {
    return inflateRawSync(compressed, { dictionary: dictionaryOf(commit), maxOutputLength: maxBytes });
  } catch {
    return compressed;
  }
}

function dictionaryOf({ stream, at }: CommitRef): Buffer {
  return Buffer.concat([commonTexts, Buffer.from(`${stream.replaceAll('/', '"')}{"at":"${at}`)]);
}
