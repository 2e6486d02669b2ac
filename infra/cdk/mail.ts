/** E-mails from an own domain. In the core stack, so that the domain can be verified before the user pool needs it. */
import { CfnOutput } from 'aws-cdk-lib';
import {
  ConfigurationSet,
  ConfigurationSetTlsPolicy,
  EmailIdentity,
  Identity,
  SuppressionReasons,
} from 'aws-cdk-lib/aws-ses';
import type { Construct } from 'constructs';
import { resourceName, type Stage } from './stage.ts';

export type Mail = { from: string; domain: string; configurationSet: string };

/** Outputs three DKIM records for the DNS of the domain. SES sends nothing before they exist. */
export function makeMail(scope: Construct, stage: Stage): Mail | undefined {
  const domain = stage.mailDomain;
  if (domain === undefined) return undefined;
  const configurationSet = new ConfigurationSet(scope, 'Mail', {
    configurationSetName: resourceName(stage, 'mail'),
    tlsPolicy: ConfigurationSetTlsPolicy.REQUIRE,
    // SES stops sending to an address that bounced or complained, because both hurt the sender's reputation.
    suppressionReasons: SuppressionReasons.BOUNCES_AND_COMPLAINTS,
    reputationMetrics: true,
  });
  const identity = new EmailIdentity(scope, 'MailDomain', { identity: Identity.domain(domain), configurationSet });
  for (const [i, { name, value }] of identity.dkimRecords.entries()) {
    new CfnOutput(scope, `MailRecord${i + 1}`, {
      description: `DNS record for ${domain}`,
      value: `${name} CNAME ${value}`,
    });
  }
  return { from: `no-reply@${domain}`, domain, configurationSet: resourceName(stage, 'mail') };
}
