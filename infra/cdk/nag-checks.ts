/** cdk-nag's judgement of a stage, part of every synthesis: a finding that nobody gave a reason for fails it. */
import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { settleAnyOf } from './acknowledge.ts';

export function addNagChecks(app: App): void {
  const reasons = {
    name: 'reasons',
    validate() {
      settleAnyOf(app);
      return { success: true, violations: [] };
    },
  };
  Validations.of(app).addPlugins(reasons, new AwsSolutionsChecks(app), new ServerlessChecks(app));
}
