/** E-mails to users, from a domain of one's own. In the core stack, so that the domain can be proven before the user pool needs it. */
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

/** The outputs are the records to be made in the domain's DNS: three that prove it, until which SES sends nothing. */
export function makeMail(scope: Construct, stage: Stage): Mail | undefined {
  const domain = stage.mailDomain;
  if (domain === undefined) return undefined;
  const configurationSet = new ConfigurationSet(scope, 'Mail', {
    configurationSetName: resourceName(stage, 'mail'),
    tlsPolicy: ConfigurationSetTlsPolicy.REQUIRE,
    // An address that bounced or complained is not written to again: both count against the sender.
    suppressionReasons: SuppressionReasons.BOUNCES_AND_COMPLAINTS,
    reputationMetrics: true,
  });
  const identity = new EmailIdentity(scope, 'MailDomain', { identity: Identity.domain(domain), configurationSet });
  for (const [i, { name, value }] of identity.dkimRecords.entries()) {
    new CfnOutput(scope, `MailRecord${i + 1}`, {
      description: `In the DNS of ${domain}`,
      value: `${name} CNAME ${value}`,
    });
  }
  return { from: `no-reply@${domain}`, domain, configurationSet: resourceName(stage, 'mail') };
}
