/** Passes the signal of a piece of work to each call of a session. */
import type { CallOptions, SourceSession } from './connector.ts';

/**
 * A session whose calls all end with `stop`. Pages with items count as progress: it calls `proceed`, which may throw.
 * Several pieces of work may share the session, each with a signal of its own.
 */
export function withSignal(
  session: SourceSession,
  { stop, proceed }: { stop: AbortSignal; proceed(): void },
): SourceSession {
  const { deltas } = session;
  const signalled = <O extends CallOptions>(options?: O) => ({ ...(options as O), signal: stop });
  /** The signal may abort while the page is on its way, and a connector may not notice. */
  const progress = async <P extends { items: unknown[] }>(page: Promise<P>): Promise<P> => {
    if ((await page).items.length > 0) proceed();
    return page;
  };
  return {
    check: (options) => session.check(signalled(options)),
    list: (page, options) => progress(session.list(page, signalled(options))),
    read: (requests, options) => session.read(requests, signalled(options)),
    look: (at, options) => session.look(at, signalled(options)),
    ...(session.identity && { identity: (options) => session.identity?.(signalled(options)) as Promise<string> }),
    ...(deltas && {
      deltas: {
        list: (since, page, options) => progress(deltas.list(since, page, signalled(options))),
        listFolder: (id, page, options) => progress(deltas.listFolder(id, page, signalled(options))),
      },
    }),
    close: () => session.close(),
  };
}
