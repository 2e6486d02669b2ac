/** How long a check waits for late delivery. The suite's own tests expect failures and set it lower. */
export const patience = { ms: 60_000 };

/** Repeats the check until it does not throw. Throws its last error once `patience` is over. */
export async function eventually<T>(check: () => Promise<T>): Promise<T> {
  const end = Date.now() + patience.ms;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() >= end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
