import { defineConfig } from 'vitest/config';

/** How long `expect.poll` repeats, in ms. The default of one second is too short for one answer of a busy machine. */
const patient = { poll: { timeout: 55_000 } };

export default defineConfig({
  test: {
    // The default leaves one core idle, which on two cores means one file at a time. Many tests wait for processes.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.aws.test.ts'],
          // A machine that is ten times slower must not fail a test. Tests that wait report their own timeout earlier.
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
