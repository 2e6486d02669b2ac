/** What a function of the AWS home is told by its environment. The CDK app sets these names, `openAws` reads them. */
export type AwsEnvironment = {
  /** `main`, `test` … */
  STAGE: string;
  /** `listbackup-{stage}-`; the tables are this + users … activity, ledger, records, subject-keys */
  TABLE_PREFIX: string;
  DATA_BUCKET: string;
  JOB_QUEUE_URL: string;
  DATA_QUEUE_URL: string;
  EVENT_BUS_NAME: string;
  /** Where the live socket is reached: `wss://…`, no query */
  LIVE_URL: string;
  USER_POOL_ID: string;
  USER_POOL_CLIENT_ID: string;
  /** KMS key that wraps data keys (symmetric) */
  KEY_ID: string;
  /** KMS key that signs checkpoints (ECC_NIST_P256, SIGN_VERIFY) */
  SIGNING_KEY_ID: string;
  /** `true`: a new user confirms the e-mail address before the first sign-in */
  CONFIRM_EMAIL: string;
  /** `true`: links to large downloads go by the edge of AWS next to the user */
  ACCELERATED_LINKS: string;
};

/** What the reconcile is told besides: the names of the functions it gives orders to. */
export type ReconcileEnvironment = { RELAY_FUNCTION: string; PROJECTIONS_FUNCTION: string };

type Environment = { [name: string]: string | undefined };

/** That variable; its absence is a fault of the deployment, found at first use so that a function needs only what it uses. */
export function required(env: Environment, name: keyof AwsEnvironment | keyof ReconcileEnvironment): string {
  const value = env[name];
  if (!value) throw new Error(`environment variable ${name} is not set`);
  return value;
}
