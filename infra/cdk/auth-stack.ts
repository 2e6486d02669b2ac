/** Who people are: Cognito checks passwords and second factors, and nothing else; the tokens are ours. */
import { Duration, Fn, Stack, type StackProps } from 'aws-cdk-lib';
import {
  AccountRecovery,
  ClientAttributes,
  Mfa,
  StringAttribute,
  UserPool,
  type UserPoolClient,
  UserPoolEmail,
  type UserVerificationConfig,
  VerificationEmailStyle,
} from 'aws-cdk-lib/aws-cognito';
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
      ...(stage.disposable ? {} : { userVerification: byLink }),
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
    if (!stage.disposable) this.pool.addDomain('Links', { cognitoDomain: { domainPrefix: linksPrefix(this) } });
    acknowledge(this.pool, {
      'AwsSolutions-COG1': 'NIST 800-63B-4: length and a blocklist instead of composition',
      'AwsSolutions-COG2': 'Whoever signs up chooses whether a second factor is asked for',
      'AwsSolutions-COG8': 'The plus plan is paid for each user a month; the application limits attempts itself',
    });
    const registered = new ClientAttributes()
      .withStandardAttributes({ email: true, fullname: true })
      .withCustomAttributes('userId', 'accountId');
    this.client = this.pool.addClient('Api', {
      userPoolClientName: resourceName(stage, 'api'),
      // Signing in takes AWS credentials and signing up the client's secret: nobody talks to the pool but our API.
      authFlows: { adminUserPassword: true },
      generateSecret: true,
      preventUserExistenceErrors: true,
      disableOAuth: true,
      // A client that is told nothing has the standard attributes alone: no user could be registered, and no token would say whose it is.
      writeAttributes: registered,
      readAttributes: registered.withStandardAttributes({ emailVerified: true }),
      // Cognito's own tokens are dropped at once; these are its shortest lives.
      accessTokenValidity: Duration.minutes(5),
      idTokenValidity: Duration.minutes(5),
      refreshTokenValidity: Duration.minutes(60),
    });
    new StringParameter(this, 'PoolId', {
      parameterName: parameterName(stage, 'cognito-user-pool-id'),
      stringValue: this.pool.userPoolId,
    });
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

/** Not by a code: our API has no place to enter one. */
const byLink: UserVerificationConfig = {
  emailStyle: VerificationEmailStyle.LINK,
  emailSubject: 'Confirm your e-mail address',
  emailBody:
    'Someone, most likely you, has opened an account at ListBackup with this address. {##Verify Email##} within a day, then sign in. ' +
    'If it was not you, there is nothing to do.',
};

/** Where links lead to, and no more: nobody signs up or in there. All of AWS shares one space of names for them, so it is part of the stack's id. */
function linksPrefix(stack: Stack): string {
  const id = Fn.select(2, Fn.split('/', stack.stackId));
  return Fn.join('-', ['listbackup', Fn.select(4, Fn.split('-', id))]);
}
