/** The environment variables of a function on AWS. The CDK app sets them, and `openAws` reads them. */
export type AwsEnvironment = {
  /** `main`, `test` … */
  STAGE: string;
  /** `listbackup-{stage}-`: the names of all tables begin with it */
  TABLE_PREFIX: string;
  DATA_BUCKET: string;
  /** Second copies of the wrapped keys */
  KEYS_BUCKET: string;
  JOB_QUEUE_URL: string;
  DATA_QUEUE_URL: string;
  EVENT_BUS_NAME: string;
  /** Address of the live socket: `wss://…` without a query */
  LIVE_URL: string;
  USER_POOL_ID: string;
  USER_POOL_CLIENT_ID: string;
  /** KMS key that wraps data keys (symmetric) */
  KEY_ID: string;
  /** KMS key that signs checkpoints (ECC_NIST_P256, SIGN_VERIFY) */
  SIGNING_KEY_ID: string;
  /** `true`: a new user confirms the e-mail address before the first sign-in */
  CONFIRM_EMAIL: string;
  /** `true`: links to large downloads use S3 Transfer Acceleration */
  ACCELERATED_LINKS: string;
};

/** Variables of the reconcile alone: the functions that it sends admin commands to. */
export type ReconcileEnvironment = { RELAY_FUNCTION: string; PROJECTIONS_FUNCTION: string };

type Environment = { [name: string]: string | undefined };

/** Throws when the variable is not set. Checked at first use, so that a function needs only the variables it uses. */
export function required(env: Environment, name: keyof AwsEnvironment | keyof ReconcileEnvironment): string {
  const value = env[name];
  if (!value) throw new Error(`Environment variable ${name} is not set. Deploy the function again with the CDK app.`);
  return value;
}
