/** Runs the contract of the task runner on the records of the self-hosted deployment and in memory. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll } from 'vitest';
import { type Embedded, openEmbedded } from '../../infra/embedded/platform.ts';
import { taskPromises } from '../contract/tasks.ts';
import { describeBroken, describeContract } from '../support/contract.ts';
import { silent, temporaryFolder } from '../support/embedded.ts';
import { memoryRecords } from '../support/memory-ports.ts';
import { runnerOn } from '../support/task-runner.ts';

let data: string;
let deployment: Embedded;

beforeAll(async () => {
  data = await temporaryFolder();
  deployment = await openEmbedded({ data, log: silent, routes: [], environment: {} });
});

afterAll(async () => {
  await deployment.close();
  await rm(data, { recursive: true, force: true });
});

describeContract('tasks on SQLite', taskPromises, () => runnerOn(deployment.platform.records));
describeContract('tasks in memory', taskPromises, () => runnerOn(memoryRecords()));
describeBroken('tasks in memory', taskPromises, () => runnerOn(memoryRecords()));
