import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** How long `expect.poll` repeats, in ms. The default of one second is too short for one answer of a busy machine. */
const patient = { poll: { timeout: 55_000 } };

export default defineConfig({
  test: {
    // The default leaves one core idle, which on two cores means one file at a time. One more than the cores, because
    // many tests wait for processes and timers.
    maxWorkers: availableParallelism() + 1,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.aws.test.ts'],
          // The files of a worker share their modules. To load them again takes longer than most files.
          isolate: false,
          // For the processes that tests start: half of a start is to compile.
          env: { NODE_COMPILE_CACHE: join(tmpdir(), 'listbackup-compile-cache') },
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
