import { describe, expect, it } from 'vitest';
import { aggregates } from '../../domain/catalogue.ts';
import { parseStream, wireType } from '../../domain/event.ts';

describe('event names', () => {
  it('have the form subject.verb.vN on the wire', () => {
    expect(wireType('RunRequested', 1)).toBe('run.requested.v1');
    expect(wireType('SourceCredentialsRotated', 2)).toBe('source-credentials.rotated.v2');
  });

  it('map to distinct wire names', () => {
    const names = aggregates.flatMap((aggregate) =>
      Object.entries<number>(aggregate.versions).map(([type, version]) => wireType(type, version)),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  it('rejects text that is not a stream name', () => {
    for (const bad of ['', 'acc_1', 'acc_1/job', 'acc_1/job/', 'a/b/c/d'])
      expect(() => parseStream(bad)).toThrow('not a stream name');
  });
});
