import { describe, expect, it } from 'vitest';
import {
  type DownloadEvent,
  download,
  grantFile,
  grantZip,
  requestZip,
  zipFailed,
  zipPrepared,
} from '../../domain/download.ts';
import { given } from '../support/given.ts';

const downloadRef = { downloadId: 'dow_1', sourceId: 'src_1', jobId: 'job_1', runId: 'run_1' };
const request = {
  ...downloadRef,
  manifest: { id: 'man_1', hash: 'ff' },
  backedUpAt: '2026-01-01T00:00:00.000Z',
  until: '2026-01-02T00:00:00.000Z',
  paths: ['a'],
};
const requested: DownloadEvent = { type: 'DownloadRequested', data: request };
const prepared: DownloadEvent = { type: 'DownloadPrepared', data: { downloadId: 'dow_1', size: 10 } };
const reason = { code: 'damaged', message: 'It is.' } as const;
const failed: DownloadEvent = { type: 'DownloadFailed', data: { downloadId: 'dow_1', sourceId: 'src_1', reason } };
const toAda: DownloadEvent = {
  type: 'DownloadGranted',
  data: { ...downloadRef, userId: 'usr_ada', version: null, path: null },
};

describe('a download', () => {
  it('grants a file once', () => {
    const file = { ...downloadRef, userId: 'usr_ada', version: 2, path: 'a' };
    const granted: DownloadEvent = { type: 'DownloadGranted', data: file };
    expect(given(download).when(grantFile(file))).toEqual([granted]);
    expect(given(download, granted).when(grantFile(file))).toEqual([]);
    expect(given(download, granted).state).toEqual({ status: 'file' });
  });

  it('requests a zip once, then ends it once, as prepared or as failed', () => {
    expect(given(download).when(requestZip(request))).toEqual([requested]);
    expect(given(download, requested).when(requestZip(request))).toEqual([]);
    expect(given(download, requested).when(zipPrepared('dow_1', 10))).toEqual([prepared]);
    expect(given(download, requested).when(zipFailed('dow_1', reason))).toEqual([failed]);
    for (const end of [prepared, failed]) {
      expect(given(download, requested, end).when(zipPrepared('dow_1', 11))).toEqual([]);
      expect(given(download, requested, end).when(zipFailed('dow_1', reason))).toEqual([]);
    }
    for (const decide of [zipPrepared('dow_1', 1), zipFailed('dow_1', reason)])
      expect(given(download).when(decide)).toEqual([]);
  });

  it('grants a zip to each user once, and not before it is ready', () => {
    expect(given(download, requested).when(grantZip('usr_ada'))).toEqual([]);
    expect(given(download, requested, failed).when(grantZip('usr_ada'))).toEqual([]);
    const ready = given(download, requested, prepared);
    expect(ready.when(grantZip('usr_ada'))).toEqual([toAda]);
    const granted = given(download, requested, prepared, toAda);
    expect(granted.state).toMatchObject({ status: 'ready', size: 10, grantedTo: ['usr_ada'] });
    expect(granted.when(grantZip('usr_ada'))).toEqual([]);
    expect(granted.when(grantZip('usr_bob'))).toMatchObject([{ type: 'DownloadGranted', data: { userId: 'usr_bob' } }]);
  });
});
