/**
 * Users in a Cognito user pool. Cognito stores e-mail, name and password. Its tokens are read once and dropped.
 *
 * The pool's client has a secret. Without it, anyone with the id of the client could sign up at Cognito directly and
 * choose an account id.
 */
import { createHash, createHmac } from 'node:crypto';
import {
  AdminConfirmSignUpCommand,
  AdminInitiateAuthCommand,
  AdminUpdateUserAttributesCommand,
  type CognitoIdentityProviderClient,
  CognitoIdentityProviderServiceException,
  DescribeUserPoolClientCommand,
  SignUpCommand,
} from '@aws-sdk/client-cognito-identity-provider';
import { Problem } from '../../domain/errors.ts';
import type { Identity, Registration, SignedIn, SignedUp } from '../../domain/ports.ts';
import { passwordWeakness } from '../password.ts';

export type Pool = {
  poolId: string;
  clientId: string;
  /** True: users confirm the e-mail address before the first sign-in. False: it counts as confirmed at once. */
  confirm: boolean;
};

export function awsIdentity(cognito: () => CognitoIdentityProviderClient, pool: () => Pool): Identity {
  let cachedSecret: Promise<string | undefined> | undefined;
  const secret = () => {
    cachedSecret ??= clientSecret(cognito(), pool());
    cachedSecret.catch(() => {
      cachedSecret = undefined;
    });
    return cachedSecret;
  };

  async function register({ email, password, name, userId, accountId }: Registration): Promise<SignedUp> {
    const weakness = await passwordWeakness(password, email);
    if (weakness) return { outcome: 'weak-password', detail: weakness };
    const { clientId, confirm } = pool();
    const Username = userName(email);
    try {
      await cognito().send(
        new SignUpCommand({
          ClientId: clientId,
          SecretHash: secretHash(await secret(), Username, clientId),
          Username,
          Password: password,
          UserAttributes: [
            { Name: 'email', Value: email },
            { Name: 'name', Value: name },
            { Name: 'custom:userId', Value: userId },
            { Name: 'custom:accountId', Value: accountId },
          ],
        }),
      );
    } catch (error) {
      const code = nameOf(error);
      // With confirmation, the answer does not reveal whether an account exists.
      if (code === 'UsernameExistsException') return { outcome: confirm ? 'confirm' : 'taken' };
      if (code === 'InvalidPasswordException')
        return { outcome: 'weak-password', detail: 'Choose a longer password of several words.' };
      throw asProblem(error);
    }
    if (confirm) return { outcome: 'confirm' };
    await confirmAtOnce(Username);
    return { outcome: 'registered' };
  }

  async function confirmAtOnce(Username: string): Promise<void> {
    const user = { UserPoolId: pool().poolId, Username };
    await cognito()
      .send(new AdminConfirmSignUpCommand(user))
      .catch((error: unknown) => {
        // Another sign-in confirmed the user meanwhile.
        if (nameOf(error) !== 'NotAuthorizedException') throw error;
      });
    // Cognito sends the code for a forgotten password only to a verified address.
    await cognito().send(
      new AdminUpdateUserAttributesCommand({ ...user, UserAttributes: [{ Name: 'email_verified', Value: 'true' }] }),
    );
  }

  async function signIn(email: string, password: string): Promise<SignedIn> {
    if (email === '' || password === '') return { outcome: 'refused' };
    const { poolId, clientId, confirm } = pool();
    const USERNAME = userName(email);
    const hash = secretHash(await secret(), USERNAME, clientId);
    const attempt = async (): Promise<SignedIn> => {
      const answer = await cognito().send(
        new AdminInitiateAuthCommand({
          UserPoolId: poolId,
          ClientId: clientId,
          AuthFlow: 'ADMIN_USER_PASSWORD_AUTH',
          AuthParameters: { USERNAME, PASSWORD: password, ...(hash === undefined ? {} : { SECRET_HASH: hash }) },
        }),
      );
      const token = answer.AuthenticationResult?.IdToken;
      if (!token)
        throw new Error(
          `Cognito asks for ${answer.ChallengeName}, which sign-in does not support. Check the settings of the user pool.`,
        );
      return signedIn(token);
    };
    try {
      return await attempt();
    } catch (error) {
      const code = nameOf(error);
      if (code === 'UserNotConfirmedException' && confirm) return { outcome: 'unconfirmed' };
      if (code === 'UserNotConfirmedException') {
        // The registration stopped between sign-up and confirmation.
        await confirmAtOnce(USERNAME);
        return attempt().catch(refusal);
      }
      return refusal(error);
    }
  }

  return { register, signIn };
}

/** The hash of the e-mail in lower case, so that listings and logs of the pool name no person. */
function userName(email: string): string {
  return createHash('sha256').update(email.normalize('NFC').toLowerCase()).digest('hex');
}

/**
 * The secret hash of the client.
 * https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html#cognito-user-pools-computing-secret-hash
 */
function secretHash(secret: string | undefined, username: string, clientId: string): string | undefined {
  return secret && createHmac('sha256', secret).update(`${username}${clientId}`).digest('base64');
}

async function clientSecret(
  cognito: CognitoIdentityProviderClient,
  { poolId, clientId }: Pool,
): Promise<string | undefined> {
  const answer = await cognito.send(new DescribeUserPoolClientCommand({ UserPoolId: poolId, ClientId: clientId }));
  return answer.UserPoolClient?.ClientSecret;
}

/** Reads the claims without checking the signature: the token came from Cognito itself over TLS. */
function signedIn(idToken: string): SignedIn {
  const claims: { [name: string]: unknown } = JSON.parse(
    Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString('utf8'),
  );
  const claim = (name: string) => {
    const value = claims[name];
    if (typeof value !== 'string')
      throw new Error(`The id token lacks ${name}. Let the client of the user pool read that attribute.`);
    return value;
  };
  return {
    outcome: 'signed-in',
    userId: claim('custom:userId'),
    accountId: claim('custom:accountId'),
    email: claim('email'),
    name: claim('name'),
  };
}

const refusals = [
  'NotAuthorizedException',
  'UserNotFoundException',
  'PasswordResetRequiredException',
  'InvalidParameterException',
];

function refusal(error: unknown): SignedIn {
  if (refusals.includes(nameOf(error) ?? '')) return { outcome: 'refused' };
  throw asProblem(error);
}

function asProblem(error: unknown): unknown {
  const code = nameOf(error);
  if (code === 'TooManyRequestsException' || code === 'LimitExceededException') {
    return new Problem('rate-limited', 'Wait a moment, then try again.', { extra: { retryAfter: 5 } });
  }
  return error;
}

function nameOf(error: unknown): string | undefined {
  return error instanceof CognitoIdentityProviderServiceException ? error.name : undefined;
}
