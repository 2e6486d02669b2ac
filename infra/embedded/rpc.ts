/** Calls between threads. Both sides serve calls of the other. Arguments and results are plain data. */
import type { MessagePort, Worker } from 'node:worker_threads';
import { SourceProblem, type SourceProblemCode } from '../../connectors/connector.ts';
import { type ErrorCode, Problem } from '../../domain/errors.ts';
import { TaskStopped } from '../../tasks/task.ts';
import { VaultDamage } from '../../vault/damage.ts';

type Message =
  | { call: number; target: string; args: unknown[] }
  | { answer: number; result: unknown }
  | { answer: number; error: WireError };

export type Peer = {
  /** The memory in `moved` is not copied. This side loses it. */
  call<T>(target: string, args: unknown[], moved?: ArrayBuffer[]): Promise<T>;
  /** Fails all open and future calls. */
  end(error: Error): void;
};

/** `serve` answers the calls of the other side. `seen` is called for each message. */
export function makePeer(
  port: Pick<MessagePort | Worker, 'postMessage'> & {
    on(event: 'message', listener: (message: Message) => void): unknown;
  },
  serve: (target: string, args: unknown[]) => unknown,
  seen: () => void = () => {},
): Peer {
  const open = new Map<number, { resolve(result: unknown): void; reject(error: unknown): void }>();
  let calls = 0;
  let ended: Error | undefined;

  port.on('message', async (message) => {
    seen();
    if ('answer' in message) {
      const waiting = open.get(message.answer);
      open.delete(message.answer);
      if ('error' in message) waiting?.reject(fromWire(message.error));
      else waiting?.resolve(message.result);
    } else if ('call' in message) {
      const answer = message.call;
      try {
        port.postMessage({ answer, result: await serve(message.target, message.args) });
      } catch (error) {
        port.postMessage({ answer, error: toWire(error) });
      }
    }
  });

  return {
    call<T>(target: string, args: unknown[], moved: ArrayBuffer[] = []) {
      if (ended) return Promise.reject(ended);
      const call = calls++;
      return new Promise<T>((resolve, reject) => {
        // Throws for arguments that cannot be copied.
        port.postMessage({ call, target, args } satisfies Message, moved);
        open.set(call, { resolve: (result) => resolve(result as T), reject });
      });
    },
    end(error) {
      ended ??= error;
      for (const { reject } of open.values()) reject(error);
      open.clear();
    },
  };
}

/** An error as plain data, with the fields that its class needs. */
export type WireError = {
  name: string;
  message: string;
  stack?: string | undefined;
  more?: { [field: string]: unknown };
};

export function toWire(error: unknown): WireError {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  if (error instanceof SourceProblem) {
    const { code, retryable, retryAfterSeconds } = error;
    return { name, message, stack, more: { code, retryable, retryAfterSeconds } };
  }
  if (error instanceof Problem) return { name, message, stack, more: { code: error.code, extra: error.extra } };
  if (error instanceof TaskStopped) return { name, message, more: { reason: error.reason } };
  return { name, message, stack };
}

export function fromWire({ name, message, stack, more = {} }: WireError): Error {
  const error = made(name, message, more);
  if (stack !== undefined) error.stack = stack;
  return error;
}

function made(name: string, message: string, more: { [field: string]: unknown }): Error {
  switch (name) {
    case 'SourceProblem':
      return new SourceProblem(more.code as SourceProblemCode, message, more);
    case 'Problem': {
      const { code, extra } = more as { code: ErrorCode; extra: Problem['extra'] };
      return new Problem(code, message, { extra });
    }
    case 'VaultDamage': {
      const [what = '', ...detail] = message.split(': ');
      return new VaultDamage(what, detail.join(': '));
    }
    case 'TaskStopped':
      return new TaskStopped(more.reason as TaskStopped['reason']);
    default:
      return Object.assign(new Error(message), { name });
  }
}
