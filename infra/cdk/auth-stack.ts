/** Who people are: Cognito checks passwords and second factors, and nothing else; the tokens are ours. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { AccountRecovery, Mfa, StringAttribute, UserPool, type UserPoolClient, UserPoolEmail } from 'aws-cdk-lib/aws-cognito';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { Mail } from './mail.ts';
import { keepData, parameterName, resourceName, type Stage } from './stage.ts';

export class AuthStack extends Stack {
  readonly pool: UserPool;
  readonly client: UserPoolClient;

  constructor(scope: Construct, id: string, stage: Stage, mail: Mail | undefined, props: StackProps) {
    super(scope, id, props);
    this.pool = new UserPool(this, 'Users', {
      userPoolName: resourceName(stage, 'users'),
      selfSignUpEnabled: true,
      // The user name is a hash of the e-mail address (infra/aws/identity.ts), so that neither logs nor listings of the pool name a person.
      signInAliases: { username: true },
      signInCaseSensitive: false,
      standardAttributes: { email: { required: true, mutable: true }, fullname: { required: false, mutable: true } },
      // Cognito writes to every new address it is to verify; stage test takes any address at its word.
      autoVerify: { email: !stage.disposable },
      customAttributes: {
        userId: new StringAttribute({ mutable: false, minLen: 1, maxLen: 64 }),
        accountId: new StringAttribute({ mutable: false, minLen: 1, maxLen: 64 }),
      },
      // NIST 800-63B-4: length instead of composition.
      passwordPolicy: {
        minLength: 12,
        requireDigits: false,
        requireLowercase: false,
        requireSymbols: false,
        requireUppercase: false,
        tempPasswordValidity: Duration.days(1),
      },
      ...(mail ? { email: fromOwnDomain(mail, this.region) } : {}),
      mfa: Mfa.OPTIONAL,
      mfaSecondFactor: { sms: false, otp: true },
      accountRecovery: AccountRecovery.EMAIL_ONLY,
      deletionProtection: !stage.disposable,
      removalPolicy: keepData(stage),
    });
    acknowledge(this.pool, {
      'AwsSolutions-COG1': 'NIST 800-63B-4: length and a blocklist instead of composition',
      'AwsSolutions-COG2': 'Whoever signs up chooses whether a second factor is asked for',
      'AwsSolutions-COG8': 'The plus plan is paid for each user a month; the application limits attempts itself',
    });
    this.client = this.pool.addClient('Api', {
      userPoolClientName: resourceName(stage, 'api'),
      // Signing in takes AWS credentials and signing up the client's secret: nobody talks to the pool but our API.
      authFlows: { adminUserPassword: true },
      generateSecret: true,
      preventUserExistenceErrors: true,
      disableOAuth: true,
      // Cognito's own tokens are dropped at once; these are its shortest lives.
      accessTokenValidity: Duration.minutes(5),
      idTokenValidity: Duration.minutes(5),
      refreshTokenValidity: Duration.minutes(60),
    });
    new StringParameter(this, 'PoolId', { parameterName: parameterName(stage, 'cognito-user-pool-id'), stringValue: this.pool.userPoolId });
    new StringParameter(this, 'ClientId', {
      parameterName: parameterName(stage, 'cognito-client-id'),
      stringValue: this.client.userPoolClientId,
    });
  }
}

/** The domain has to be proven before: Cognito refuses one that is not. */
function fromOwnDomain({ from, domain, configurationSet }: Mail, sesRegion: string): UserPoolEmail {
  return UserPoolEmail.withSES({
    fromEmail: from,
    fromName: 'ListBackup',
    sesVerifiedDomain: domain,
    configurationSetName: configurationSet,
    sesRegion,
  });
}
