/**
 * The options of a stage and their defaults. Options come from CDK context (`-c network=nat`) or from the environment
 * (`LISTBACKUP_NETWORK=nat`). The context wins. Prices are in docs/deploy.md.
 */

export type Network = 'open' | 'isolated' | 'nat';

/** The steps of turning on replication, in order. */
export const replicationSteps = ['streams', 'open', 'closed'] as const;
export type ReplicationStep = (typeof replicationSteps)[number];

export type StageOptions = {
  /** Suffix of all bucket names, up to 8 lower-case letters and digits. Empty: none. */
  suffix: string;
  /**
   * - `open`: the stage has no network.
   * - `isolated`: functions that need no internet run in subnets without a route to it.
   * - `nat`: as `isolated`. The other functions with access to keys run behind a NAT gateway with a fixed address.
   */
  network: Network;
  /** The primary region. Undefined: the region of the deployment. Required with replica regions. */
  region: string | undefined;
  /** Regions with replicas of tables, buckets and keys. */
  replicaRegions: string[];
  /**
   * The step of turning on table replicas. CloudFormation needs one update for each. `streams`: tables have the streams
   * that replication needs. `open`: replicas exist and accept writes. `closed`: replicas deny writes.
   */
  replicationStep: ReplicationStep;
  /** The one region whose tables accept writes: the primary region, a replica region, or `none`. */
  writerRegion: string | undefined;
  /** The region of the functions: the primary region, or a replica region after a failover. */
  runsIn: string | undefined;
  /** The stream ARN of the table `activity` in `runsIn`. Required after a failover. */
  activityStream: string | undefined;
  /** Provisioned instances of the API function. None when both are 0. */
  warm: { min: number; max: number };
  /** Links to large downloads use S3 Transfer Acceleration, for $0.04 to $0.08 a GB. */
  acceleratedLinks: boolean;
  /** Puts CloudFront and a web firewall before the API, which then refuses direct requests. Requires `region`. */
  edge: boolean;
  /** SES sends e-mails to users from this domain. Undefined: Cognito sends them, at most 50 a day. */
  mailDomain: string | undefined;
  /** Budget in US dollars a month. 0: no budget and no cost alerts. */
  budget: number;
};

/** Returns the text of an option, undefined if it is not set. */
export type OptionValues = (option: keyof StageOptions) => string | undefined;

/** Parses and checks the options. Defaults can depend on the stage name. Throws for an invalid value or combination. */
export function stageOptions(name: string, values: OptionValues): StageOptions {
  const parse = <T>(
    option: keyof StageOptions,
    read: (text: string) => T | undefined,
    expected: string,
    fallback: T,
  ): T => {
    const text = values(option);
    if (text === undefined) return fallback;
    const value = read(text.trim());
    if (value === undefined) throw new Error(`Stage option ${option} is "${text}". Set it to ${expected}.`);
    return value;
  };
  const options = {
    suffix: parse(
      'suffix',
      (text) => (/^[a-z0-9]{0,8}$/.test(text) ? text : undefined),
      'up to 8 lower-case letters and digits',
      '',
    ),
    network: parse(
      'network',
      (text) => networks.find((each) => each === text),
      networks.join(', '),
      name === 'test' ? 'open' : 'isolated',
    ),
    region: parse<string | undefined>('region', region, 'a region like eu-west-1', undefined),
    replicaRegions: parse('replicaRegions', regions, 'regions separated by commas, like eu-west-1,eu-north-1', []),
    replicationStep: parse<ReplicationStep>(
      'replicationStep',
      (text) => replicationSteps.find((step) => step === text),
      replicationSteps.join(', '),
      'closed',
    ),
    writerRegion: parse<string | undefined>(
      'writerRegion',
      (text) => (text === 'none' ? text : region(text)),
      'a region like eu-west-1, or none',
      values('region'),
    ),
    runsIn: parse<string | undefined>('runsIn', region, 'a region like eu-west-1', values('region')),
    activityStream: parse<string | undefined>(
      'activityStream',
      (text) => (/^arn:[^:]+:dynamodb:[^:]+:\d{12}:table\/[^/]+\/stream\/.+$/.test(text) ? text : undefined),
      'the LatestStreamArn of the table activity in the region of the functions',
      undefined,
    ),
    warm: parse(
      'warm',
      warm,
      'two numbers like 2-20, or 0',
      name === 'prod' ? { min: 2, max: 20 } : { min: 0, max: 0 },
    ),
    acceleratedLinks: parse('acceleratedLinks', yesOrNo, 'true or false', false),
    edge: parse('edge', yesOrNo, 'true or false', false),
    mailDomain: parse<string | undefined>(
      'mailDomain',
      (text) => (/^([a-z0-9-]+\.)+[a-z]{2,}$/.test(text) ? text : undefined),
      'a domain like mail.example.com',
      undefined,
    ),
    budget: parse(
      'budget',
      (text) => (/^\d{1,7}$/.test(text) ? Number(text) : undefined),
      'whole US dollars a month, like 50',
      name === 'test' ? 0 : 50,
    ),
  };
  checkRegions(options);
  return options;
}

function checkRegions({
  region: primaryRegion,
  replicaRegions,
  writerRegion,
  runsIn,
  activityStream,
  edge,
}: StageOptions): void {
  if (!primaryRegion && (edge || replicaRegions.length > 0 || writerRegion || runsIn)) {
    throw new Error('Set the stage option region to the primary region: this stage uses several regions.');
  }
  if (primaryRegion && replicaRegions.includes(primaryRegion))
    throw new Error(`${primaryRegion} is the primary region. Remove it from replicaRegions.`);
  for (const other of [writerRegion, runsIn]) {
    if (
      other === undefined ||
      [primaryRegion, ...replicaRegions].includes(other) ||
      (other === 'none' && other === writerRegion)
    )
      continue;
    throw new Error(`${other} cannot take over: it has no replicas. Use a region of replicaRegions.`);
  }
  if (runsIn !== primaryRegion && writerRegion !== runsIn) {
    throw new Error(
      `Functions cannot run in ${runsIn} while ${writerRegion} is the writer region. Set runsIn and writerRegion to the same region.`,
    );
  }
  if (runsIn !== primaryRegion && !activityStream) {
    throw new Error('Set the stage option activityStream to the stream to read, see docs/recovery.md.');
  }
}

/** Returns the environment variable of an option: `replicaRegions` is LISTBACKUP_REPLICA_REGIONS. */
export function variableOf(option: keyof StageOptions): string {
  return `LISTBACKUP_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** Reads options from CDK context, then from environment variables. An empty value counts as not set. */
export function readOptions(
  context: (key: string) => unknown,
  env: { [name: string]: string | undefined },
): OptionValues {
  return (option) => {
    const value = context(option) ?? env[variableOf(option)];
    return value === undefined || value === '' ? undefined : String(value);
  };
}

const networks: Network[] = ['open', 'isolated', 'nat'];

function region(text: string): string | undefined {
  return /^[a-z]{2}(-[a-z]+)+-\d$/.test(text) ? text : undefined;
}

function regions(text: string): string[] | undefined {
  const list = text.split(',').map((each) => each.trim());
  return list.every((each) => region(each)) && new Set(list).size === list.length ? list : undefined;
}

function yesOrNo(text: string): boolean | undefined {
  return text === 'true' ? true : text === 'false' ? false : undefined;
}

function warm(text: string): StageOptions['warm'] | undefined {
  if (text === '0') return { min: 0, max: 0 };
  const [, min, max] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  const range = { min: Number(min), max: Number(max) };
  return range.min >= 1 && range.min <= range.max ? range : undefined;
}
