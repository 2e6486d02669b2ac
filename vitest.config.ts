import { defineConfig } from 'vitest/config';

/** How long `expect.poll` asks: by default it gives up after a second, which a busy machine takes for a single answer. */
const patient = { poll: { timeout: 55_000 } };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.aws.test.ts'],
          // A machine that is ten times slower is no failure: what waits in vain says so itself, after a minute or two
          testTimeout: 300_000,
          hookTimeout: 300_000,
          expect: patient,
        },
      },
      {
        test: {
          name: 'aws',
          include: ['test/**/*.aws.test.ts'],
          globalSetup: ['test/emulator/global-setup.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          expect: patient,
        },
      },
    ],
  },
});
