/**
 * Who people are, in a Cognito user pool. Cognito keeps e-mail, name and password; its tokens are read once and dropped.
 *
 * The pool's client has a secret: without it anyone who knows the client's id could sign up at Cognito directly, with an account id of
 * their choice among the attributes.
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
  /** Whether the e-mail address is confirmed before the first sign-in; when not, it is at once. */
  confirm: boolean;
};

export function awsIdentity(cognito: () => CognitoIdentityProviderClient, pool: () => Pool): Identity {
  let known: Promise<string | undefined> | undefined;
  const secret = () => {
    known ??= clientSecret(cognito(), pool());
    known.catch(() => {
      known = undefined;
    });
    return known;
  };

  async function register({ email, password, name, userId, accountId }: Registration): Promise<SignedUp> {
    const weakness = passwordWeakness(password, email);
    if (weakness) return { outcome: 'weak-password', detail: weakness };
    const { clientId, confirm } = pool();
    const Username = userName(email);
    try {
      await cognito().send(
        new SignUpCommand({
          ClientId: clientId,
          SecretHash: proof(await secret(), Username, clientId),
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
      // Where an e-mail has to be confirmed, nobody learns of whom there is an account.
      if (code === 'UsernameExistsException') return { outcome: confirm ? 'confirm' : 'taken' };
      if (code === 'InvalidPasswordException')
        return { outcome: 'weak-password', detail: 'Take a longer password of several words.' };
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
        // Confirmed meanwhile.
        if (nameOf(error) !== 'NotAuthorizedException') throw error;
      });
    // Cognito sends a forgotten password's code only to a verified address.
    await cognito().send(
      new AdminUpdateUserAttributesCommand({ ...user, UserAttributes: [{ Name: 'email_verified', Value: 'true' }] }),
    );
  }

  async function signIn(email: string, password: string): Promise<SignedIn> {
    if (email === '' || password === '') return { outcome: 'refused' };
    const { poolId, clientId, confirm } = pool();
    const USERNAME = userName(email);
    const hash = proof(await secret(), USERNAME, clientId);
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
      if (!token) throw new Error(`sign-in needs a further step: ${answer.ChallengeName}`);
      return signedIn(token);
    };
    try {
      return await attempt();
    } catch (error) {
      const code = nameOf(error);
      if (code === 'UserNotConfirmedException' && confirm) return { outcome: 'unconfirmed' };
      if (code === 'UserNotConfirmedException') {
        // A registration that died half-way.
        await confirmAtOnce(USERNAME);
        return attempt().catch(refusal);
      }
      return refusal(error);
    }
  }

  return { register, signIn };
}

/** The e-mail's hash, so that neither the pool's listings nor its logs name a person; equal whatever the case. */
function userName(email: string): string {
  return createHash('sha256').update(email.normalize('NFC').toLowerCase()).digest('hex');
}

/** https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html#cognito-user-pools-computing-secret-hash */
function proof(secret: string | undefined, username: string, clientId: string): string | undefined {
  return secret && createHmac('sha256', secret).update(`${username}${clientId}`).digest('base64');
}

async function clientSecret(
  cognito: CognitoIdentityProviderClient,
  { poolId, clientId }: Pool,
): Promise<string | undefined> {
  const answer = await cognito.send(new DescribeUserPoolClientCommand({ UserPoolId: poolId, ClientId: clientId }));
  return answer.UserPoolClient?.ClientSecret;
}

/** The claims of an id token that came from Cognito itself over TLS: nobody else could have put them there. */
function signedIn(idToken: string): SignedIn {
  const claims: { [name: string]: unknown } = JSON.parse(
    Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString('utf8'),
  );
  const claim = (name: string) => {
    const value = claims[name];
    if (typeof value !== 'string') throw new Error(`the id token lacks ${name}: may the client read that attribute?`);
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
