import { describe, expect, test } from 'vitest';
import { type Frame, type ReadRequest, SourceProblem } from '../../connectors/connector.ts';
import { interleaved } from '../../connectors/interleaved.ts';

const MiB = 1024 * 1024;
const turn = () => new Promise((resolve) => setImmediate(resolve));

function request(key: string): ReadRequest {
  return { entry: { key, kind: 'file', size: 1, modifiedAt: null, revision: 'r1' } };
}

function requests(count: number): ReadRequest[] {
  return Array.from({ length: count }, (_, i) => request(`${i}`));
}

/** The frames as text, one character of bytes each: the content, `.` for an end, the code of a problem. */
async function textsOf(frames: AsyncIterable<Frame>, count: number): Promise<string[]> {
  const texts = Array.from({ length: count }, () => '');
  for await (const frame of frames)
    for (const part of frame)
      texts[part.index] += 'problem' in part ? part.problem.code : `${Buffer.from(part.bytes)}${part.end ? '.' : ''}`;
  return texts;
}

describe('reading several files at once', () => {
  test('yields the pieces of each file in order, with one end', async () => {
    async function* open({ entry }: ReadRequest) {
      for (const character of `file ${entry.key}`) {
        if (Number(entry.key) % 2 === 0) await turn();
        yield Buffer.from(character);
      }
    }
    for (const concurrency of [1, 3, 50])
      expect(await textsOf(interleaved(requests(10), concurrency, open), 10)).toEqual(
        Array.from({ length: 10 }, (_, i) => `file ${i}.`),
      );
  });

  test('opens at most the given number of files at a time, and that many if there are as many', async () => {
    let active = 0;
    let most = 0;
    async function* open() {
      most = Math.max(most, ++active);
      await turn();
      yield Buffer.from('x');
      active--;
    }
    await textsOf(interleaved(requests(20), 4, open), 20);
    expect(most).toBe(4);
  });

  test('ends a file with its problem, after the pieces before it, and reads the others', async () => {
    async function* open({ entry }: ReadRequest) {
      yield Buffer.from('half');
      await turn();
      if (entry.key === '1') throw new SourceProblem('changed', 'It changed.');
    }
    expect(await textsOf(interleaved(requests(3), 2, open), 3)).toEqual(['half.', 'halfchanged', 'half.']);
  });

  test.each([new SourceProblem('unreachable', 'The server is down.'), new Error('a bug')])(
    'ends the reading with %s, opens no other file, and closes the open ones first',
    async (error) => {
      let opened = 0;
      let ended = 0;
      async function* open({ entry }: ReadRequest) {
        opened++;
        try {
          await turn();
          if (entry.key === '0') throw error;
          for (;;) {
            yield Buffer.from('x');
            await turn();
          }
        } finally {
          ended++;
        }
      }
      await expect(textsOf(interleaved(requests(20), 4, open), 20)).rejects.toBe(error);
      expect([opened, ended]).toEqual([4, 4]);
    },
  );

  test('closes all files when the consumer stops', async () => {
    let opened = 0;
    let ended = 0;
    async function* open() {
      opened++;
      try {
        for (;;) yield new Uint8Array(MiB);
      } finally {
        ended++;
      }
    }
    for await (const frame of interleaved(requests(20), 4, open)) if (frame.length > 0) break;
    expect(ended).toBe(opened);
    expect(opened).toBeLessThanOrEqual(4);
  });

  test('stops to read while the consumer is behind', async () => {
    let pieces = 0;
    async function* open() {
      for (let i = 0; i < 100; i++) {
        pieces++;
        yield new Uint8Array(MiB);
      }
    }
    const frames = interleaved(requests(4), 4, open);
    await frames.next();
    for (let i = 0; i < 100; i++) await turn();
    // What the first frame had, 4 MiB that wait, and one piece of each file.
    expect(pieces).toBeLessThanOrEqual(16);
    await frames.return();
  });

  test('reads nothing for no requests', async () => {
    expect(
      await textsOf(
        interleaved([], 4, () => expect.unreachable()),
        0,
      ),
    ).toEqual([]);
  });
});
