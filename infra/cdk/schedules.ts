/** Where the schedules of jobs are made, by the product itself, and what one of them may do. */
import { Stack } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { ScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { keepData, type Stage } from './stage.ts';

export type Schedules = {
  group: ScheduleGroup;
  /** What a schedule of the group acts as: it may put a message on the job queue and nothing else. */
  role: Role;
};

export function makeSchedules(scope: Construct, stage: Stage, jobQueue: Queue): Schedules {
  const scheduleGroupName = `listbackup-${stage.name}`;
  const group = new ScheduleGroup(scope, 'Schedules', { scheduleGroupName, removalPolicy: keepData(stage) });
  const of = { 'aws:SourceAccount': Stack.of(scope).account, 'aws:SourceArn': group.scheduleGroupArn };
  const role = new Role(scope, 'ScheduleRole', {
    description: 'Schedules of jobs',
    // With these, another account's or group's schedules cannot borrow it.
    assumedBy: new ServicePrincipal('scheduler.amazonaws.com', { conditions: { StringEquals: of } }),
  });
  role.addToPolicy(new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [jobQueue.queueArn] }));
  return { group, role };
}
