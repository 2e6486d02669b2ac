/** The group of the job schedules, which the product creates, and the role that they use. */
import { Stack } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { ScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { keepData, type Stage } from './stage.ts';

export type Schedules = {
  group: ScheduleGroup;
  /** The role of every schedule in the group. It may send messages to the job queue, nothing else. */
  role: Role;
};

export function makeSchedules(scope: Construct, stage: Stage, jobQueue: Queue): Schedules {
  const scheduleGroupName = `listbackup-${stage.name}`;
  const group = new ScheduleGroup(scope, 'Schedules', { scheduleGroupName, removalPolicy: keepData(stage) });
  const ownGroup = { 'aws:SourceAccount': Stack.of(scope).account, 'aws:SourceArn': group.scheduleGroupArn };
  const role = new Role(scope, 'ScheduleRole', {
    description: 'Lets job schedules send to the job queue',
    // The conditions stop schedules of other accounts and groups from using the role.
    assumedBy: new ServicePrincipal('scheduler.amazonaws.com', { conditions: { StringEquals: ownGroup } }),
  });
  role.addToPolicy(new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [jobQueue.queueArn] }));
  return { group, role };
}
