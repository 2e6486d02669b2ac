/** The user pool. Cognito only checks passwords and second factors. The API issues its own tokens. */
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
      // The user name is a hash of the e-mail address (infra/aws/identity.ts), so logs and listings name no person.
      signInAliases: { username: true },
      signInCaseSensitive: false,
      standardAttributes: { email: { required: true, mutable: true }, fullname: { required: false, mutable: true } },
      // Cognito e-mails every new address to verify it. Stage test accepts any address.
      autoVerify: { email: !stage.disposable },
      ...(stage.disposable ? {} : { userVerification: verifyByLink }),
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
      ...(mail ? { email: sendFromDomain(mail, this.region) } : {}),
      mfa: Mfa.OPTIONAL,
      mfaSecondFactor: { sms: false, otp: true },
      accountRecovery: AccountRecovery.EMAIL_ONLY,
      deletionProtection: !stage.disposable,
      removalPolicy: keepData(stage),
    });
    if (!stage.disposable) this.pool.addDomain('Links', { cognitoDomain: { domainPrefix: linksPrefix(this) } });
    acknowledge(this.pool, {
      'AwsSolutions-COG1': 'NIST 800-63B-4: length and a blocklist instead of composition',
      'AwsSolutions-COG2': 'Each user chooses whether to use a second factor',
      'AwsSolutions-COG8': 'The Plus plan costs a monthly fee for each user. The application limits attempts itself',
    });
    const registered = new ClientAttributes()
      .withStandardAttributes({ email: true, fullname: true })
      .withCustomAttributes('userId', 'accountId');
    this.client = this.pool.addClient('Api', {
      userPoolClientName: resourceName(stage, 'api'),
      // Only the API can use the pool: sign-in needs AWS credentials, sign-up needs the client secret.
      authFlows: { adminUserPassword: true },
      generateSecret: true,
      preventUserExistenceErrors: true,
      disableOAuth: true,
      // By default a client can use standard attributes only. Registration needs the custom ones too.
      writeAttributes: registered,
      readAttributes: registered.withStandardAttributes({ emailVerified: true }),
      // The API discards Cognito's tokens. These are the shortest lifetimes that Cognito accepts.
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

/** Cognito refuses a domain that SES has not verified. */
function sendFromDomain({ from, domain, configurationSet }: Mail, sesRegion: string): UserPoolEmail {
  return UserPoolEmail.withSES({
    fromEmail: from,
    fromName: 'ListBackup',
    sesVerifiedDomain: domain,
    configurationSetName: configurationSet,
    sesRegion,
  });
}

/** A link, because the API has no route that accepts a code. */
const verifyByLink: UserVerificationConfig = {
  emailStyle: VerificationEmailStyle.LINK,
  emailSubject: 'Confirm your e-mail address',
  emailBody:
    'Someone, probably you, signed up at ListBackup with this address. {##Verify Email##} within a day, then sign in. ' +
    'If it was not you, ignore this e-mail.',
};

/**
 * Returns the domain prefix of the verification links. The client allows no sign-in there. The prefix must be unique in
 * AWS, so it contains a part of the stack id.
 */
function linksPrefix(stack: Stack): string {
  const id = Fn.select(2, Fn.split('/', stack.stackId));
  return Fn.join('-', ['listbackup', Fn.select(4, Fn.split('-', id))]);
}
