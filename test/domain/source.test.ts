import { describe, expect, it } from 'vitest';
import { changeSource, connectSource, disconnectSource, source } from '../../domain/source.ts';
import { given } from '../support/given.ts';

const settings = { name: 'Photos', config: { path: '/photos' } };
const connected = given(source).when(connectSource('src_1', 'folder', settings));

describe('a source', () => {
  it('ignores a repeated connection', () => {
    expect(connected).toHaveLength(1);
    expect(given(source, ...connected).when(connectSource('src_1', 'folder', settings))).toEqual([]);
  });

  it('records new settings, and whether credentials changed, without the credentials', () => {
    const [event] = given(source, ...connected).when(
      changeSource('src_1', { name: 'Pictures', config: { path: '/p' } }, true),
    );
    expect(event).toEqual({
      type: 'SourceChanged',
      data: { sourceId: 'src_1', name: 'Pictures', config: { path: '/p' }, credentialsRotated: true },
    });
  });

  it('does not exist after it is disconnected, or before it is connected', () => {
    const disconnected = given(source, ...connected).when(disconnectSource('src_1'));
    for (const state of [given(source), given(source, ...connected, ...disconnected)]) {
      expect(() => state.when(disconnectSource('src_1'))).toThrow(expect.objectContaining({ code: 'not-found' }));
      expect(() => state.when(changeSource('src_1', settings, false))).toThrow(
        expect.objectContaining({ code: 'not-found' }),
      );
    }
  });
});
