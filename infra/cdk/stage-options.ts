/**
 * What can be chosen for a stage, its defaults, and how it is told: as CDK context (`-c network=nat`) or in the environment
 * (`LISTBACKUP_NETWORK=nat`). The context wins. What each costs: docs/adr/network.md and docs/recovery.md.
 */

export type Network = 'open' | 'isolated' | 'nat';

export type StageOptions = {
  /** Ends the names of buckets, which all of AWS shares: up to 8 lower-case letters and digits, or none. */
  suffix: string;
  /**
   * `open`: no network of our own. `isolated`: functions that need no internet run in subnets without a way out. `nat`: so do the others
   * that hold keys, behind a gateway with a fixed address.
   */
  network: Network;
  /** Regions that tables, buckets and keys are copied to; never the region of the stage itself. */
  replicaRegions: string[];
  /** How many API functions are kept started at the least and at the most; none when both are 0. */
  warm: { least: number; most: number };
  /** Links to large downloads go by the edge of AWS next to the user, for $0.04 to $0.08 a GB. */
  acceleratedLinks: boolean;
  /** CloudFront with a web firewall in front of the API. */
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
  const given = <T>(option: keyof StageOptions, read: (words: string) => T | undefined, expected: string, otherwise: T): T => {
    const words = told(option);
    if (words === undefined) return otherwise;
    const value = read(words.trim());
    if (value === undefined) throw new Error(`the stage option ${option} is "${words}"; give it as ${expected}`);
    return value;
  };
  return {
    suffix: given('suffix', (words) => (/^[a-z0-9]{0,8}$/.test(words) ? words : undefined), 'up to 8 lower-case letters and digits', ''),
    network: given(
      'network',
      (words) => networks.find((each) => each === words),
      networks.join(', '),
      name === 'test' ? 'open' : 'isolated',
    ),
    replicaRegions: given('replicaRegions', regions, 'regions with commas between them, like eu-west-1,eu-north-1', []),
    warm: given('warm', warm, 'two numbers like 2-20, or 0', name === 'prod' ? { least: 2, most: 20 } : { least: 0, most: 0 }),
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

function regions(words: string): string[] | undefined {
  const list = words.split(',').map((each) => each.trim());
  return list.every((each) => /^[a-z]{2}(-[a-z]+)+-\d$/.test(each)) && new Set(list).size === list.length ? list : undefined;
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
