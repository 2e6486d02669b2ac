/** Adds cdk-nag to the synthesis. A finding without a recorded reason fails it. */
import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { acknowledgeWildcards } from './acknowledge.ts';

export function addNagChecks(app: App): void {
  const reasons = {
    name: 'reasons',
    validate() {
      acknowledgeWildcards(app);
      return { success: true, violations: [] };
    },
  };
  Validations.of(app).addPlugins(reasons, new AwsSolutionsChecks(app), new ServerlessChecks(app));
}
