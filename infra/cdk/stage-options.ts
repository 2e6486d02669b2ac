/**
 * What can be chosen for a stage, its defaults, and how it is told: as CDK context (`-c network=nat`) or in the environment
 * (`LISTBACKUP_NETWORK=nat`). The context wins. What each costs: docs/adr/network.md and docs/recovery.md.
 */

export type Network = 'open' | 'isolated' | 'nat';

/** In the order in which copies are turned on. */
export const stepsOfCopying = ['streams', 'open', 'closed'] as const;
export type Copying = (typeof stepsOfCopying)[number];

export type StageOptions = {
  /** Ends the names of buckets, which all of AWS shares: up to 8 lower-case letters and digits, or none. */
  suffix: string;
  /**
   * `open`: no network of our own. `isolated`: functions that need no internet run in subnets without a way out. `nat`: so do the others
   * that hold keys, behind a gateway with a fixed address.
   */
  network: Network;
  /** Where the stage is at home; undefined: wherever it is deployed to. Has to be said when there are other regions. */
  region: string | undefined;
  /** Regions that tables, buckets and keys are copied to. */
  replicaRegions: string[];
  /**
   * How far copies of tables are turned on, where there are replica regions, since CloudFormation does each in an update of its own.
   * `streams`: tables tell what a copy needs. `open`: there are copies, not yet closed to others. `closed`: all of it.
   */
  copying: Copying;
  /** The one region whose tables can be written to: the home, one of the others, or `none`. */
  writerRegion: string | undefined;
  /** Where the functions run: at home, or on the copies in one of the other regions, which has taken over. */
  runsIn: string | undefined;
  /** The ARN of the stream of the table activity where the functions run, when that is not at home. */
  activityStream: string | undefined;
  /** How many API functions are kept started at the least and at the most; none when both are 0. */
  warm: { least: number; most: number };
  /** Links to large downloads go by the edge of AWS next to the user, for $0.04 to $0.08 a GB. */
  acceleratedLinks: boolean;
  /** CloudFront with a web firewall in front of the API, which then answers nobody who does not come that way. Needs `region`. */
  edge: boolean;
  /** E-mails to users come from this domain, through SES; undefined: from Cognito's own address, 50 a day. */
  mailDomain: string | undefined;
  /** US dollars a month that the stage should cost at the most; 0: nobody is told what it costs. */
  budget: number;
};

/** An option's words, as given by whoever deploys; undefined when they said nothing. */
export type Told = (option: keyof StageOptions) => string | undefined;

/** `open` for stage `test`, which is there for minutes; nothing is kept warm but in `prod`. */
export function stageOptions(name: string, told: Told): StageOptions {
  const given = <T>(
    option: keyof StageOptions,
    read: (words: string) => T | undefined,
    expected: string,
    otherwise: T,
  ): T => {
    const words = told(option);
    if (words === undefined) return otherwise;
    const value = read(words.trim());
    if (value === undefined) throw new Error(`the stage option ${option} is "${words}"; give it as ${expected}`);
    return value;
  };
  const options = {
    suffix: given(
      'suffix',
      (words) => (/^[a-z0-9]{0,8}$/.test(words) ? words : undefined),
      'up to 8 lower-case letters and digits',
      '',
    ),
    network: given(
      'network',
      (words) => networks.find((each) => each === words),
      networks.join(', '),
      name === 'test' ? 'open' : 'isolated',
    ),
    region: given<string | undefined>('region', region, 'a region like eu-west-1', undefined),
    replicaRegions: given('replicaRegions', regions, 'regions with commas between them, like eu-west-1,eu-north-1', []),
    copying: given<Copying>(
      'copying',
      (words) => stepsOfCopying.find((each) => each === words),
      stepsOfCopying.join(', '),
      'closed',
    ),
    writerRegion: given<string | undefined>(
      'writerRegion',
      (words) => (words === 'none' ? words : region(words)),
      'a region like eu-west-1, or none',
      told('region'),
    ),
    runsIn: given<string | undefined>('runsIn', region, 'a region like eu-west-1', told('region')),
    activityStream: given<string | undefined>(
      'activityStream',
      (words) => (/^arn:[^:]+:dynamodb:[^:]+:\d{12}:table\/[^/]+\/stream\/.+$/.test(words) ? words : undefined),
      'the LatestStreamArn that describe-table tells of the table activity where the functions run',
      undefined,
    ),
    warm: given(
      'warm',
      warm,
      'two numbers like 2-20, or 0',
      name === 'prod' ? { least: 2, most: 20 } : { least: 0, most: 0 },
    ),
    acceleratedLinks: given('acceleratedLinks', yesOrNo, 'true or false', false),
    edge: given('edge', yesOrNo, 'true or false', false),
    mailDomain: given<string | undefined>(
      'mailDomain',
      (words) => (/^([a-z0-9-]+\.)+[a-z]{2,}$/.test(words) ? words : undefined),
      'a domain like mail.example.com',
      undefined,
    ),
    budget: given(
      'budget',
      (words) => (/^\d{1,7}$/.test(words) ? Number(words) : undefined),
      'whole US dollars a month, like 50',
      name === 'test' ? 0 : 50,
    ),
  };
  checkRegions(options);
  return options;
}

function checkRegions({
  region: homeRegion,
  replicaRegions,
  writerRegion,
  runsIn,
  activityStream,
  edge,
}: StageOptions): void {
  if (!homeRegion && (edge || replicaRegions.length > 0 || writerRegion || runsIn)) {
    throw new Error('say with the stage option region where the stage is at home, since not all of it is in one');
  }
  if (homeRegion && replicaRegions.includes(homeRegion))
    throw new Error(`the stage is at home in ${homeRegion}, so that is no replica region of it`);
  for (const other of [writerRegion, runsIn]) {
    if (
      other === undefined ||
      [homeRegion, ...replicaRegions].includes(other) ||
      (other === 'none' && other === writerRegion)
    )
      continue;
    throw new Error(`${other} cannot take over: there are no copies, since it is not among the replica regions`);
  }
  if (runsIn !== homeRegion && writerRegion !== runsIn) {
    throw new Error(
      `functions cannot run in ${runsIn} while ${writerRegion} is the writer region: give both as the same`,
    );
  }
  if (runsIn !== homeRegion && !activityStream) {
    throw new Error('say with the stage option activityStream which stream is read there, as docs/recovery.md shows');
  }
}

/** `LISTBACKUP_` and the option's words in capitals: `replicaRegions` is LISTBACKUP_REPLICA_REGIONS. */
export function variableOf(option: keyof StageOptions): string {
  return `LISTBACKUP_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** What was told by CDK's context or by variables; an empty word tells nothing. */
export function toldBy(context: (key: string) => unknown, env: { [name: string]: string | undefined }): Told {
  return (option) => {
    const words = context(option) ?? env[variableOf(option)];
    return words === undefined || words === '' ? undefined : String(words);
  };
}

const networks: Network[] = ['open', 'isolated', 'nat'];

function region(words: string): string | undefined {
  return /^[a-z]{2}(-[a-z]+)+-\d$/.test(words) ? words : undefined;
}

function regions(words: string): string[] | undefined {
  const list = words.split(',').map((each) => each.trim());
  return list.every((each) => region(each)) && new Set(list).size === list.length ? list : undefined;
}

function yesOrNo(words: string): boolean | undefined {
  return words === 'true' ? true : words === 'false' ? false : undefined;
}

function warm(words: string): StageOptions['warm'] | undefined {
  if (words === '0') return { least: 0, most: 0 };
  const [, least, most] = /^(\d+)-(\d+)$/.exec(words) ?? [];
  const range = { least: Number(least), most: Number(most) };
  return range.least >= 1 && range.least <= range.most ? range : undefined;
}
