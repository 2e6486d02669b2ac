/** The form of metrics: one line in CloudWatch's embedded metric format. */
import { expect, test, vi } from 'vitest';
import { awsLog } from '../../../infra/aws/log.ts';

test('logs measures as metrics of the stage with their units', () => {
  let output = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((piece) => {
    output += piece;
    return true;
  });
  awsLog(() => 'prod').measure({ RunSeconds: 12.5, RunBytesRead: 4096, RunsSucceeded: 1 });
  spy.mockRestore();
  const [line, ...more] = output
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each));
  expect(more).toEqual([]);
  expect(line).toMatchObject({ stage: 'prod', RunSeconds: 12.5, RunBytesRead: 4096, RunsSucceeded: 1 });
  const [{ Namespace, Metrics, Dimensions }] = line._aws.CloudWatchMetrics;
  expect({ Namespace, Dimensions }).toEqual({ Namespace: 'ListBackup', Dimensions: [['service', 'stage']] });
  expect(Metrics).toEqual([
    { Name: 'RunSeconds', Unit: 'Seconds' },
    { Name: 'RunBytesRead', Unit: 'Bytes' },
    { Name: 'RunsSucceeded', Unit: 'Count' },
  ]);
});
