/** Starts a function's code as Lambda does: imports the entry, answers a request and prints the times as JSON. */
type Handler = (event: object, context: object) => Promise<{ statusCode: number; body: string }>;

const [entry = '', calls = '0'] = process.argv.slice(2);
const http = { method: 'GET', path: '/health', protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'bench' };
const event = {
  version: '2.0',
  routeKey: '$default',
  rawPath: '/health',
  rawQueryString: '',
  headers: { host: 'api.example.com', accept: 'application/json' },
  requestContext: { http, domainName: 'api.example.com', requestId: 'bench', stage: '$default' },
  isBase64Encoded: false,
};

const cpu = process.cpuUsage();
const began = performance.now();
const { handler } = (await import(entry)) as { handler: Handler };
const imported = performance.now();
const { statusCode, body } = await handler(event, { awsRequestId: 'bench' });
const answered = performance.now();
const { user, system } = process.cpuUsage(cpu);
if (statusCode !== 200) throw new Error(`${entry} answered ${statusCode}: ${body}`);

/** CPU time per call in microseconds, averaged over the given number of calls, after a warm-up. */
async function cpuOfCalls(count: number): Promise<number> {
  for (let i = 0; i < count; i++) await handler(event, { awsRequestId: 'bench' });
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) await handler(event, { awsRequestId: 'bench' });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

const microseconds = Number(calls) > 0 ? await cpuOfCalls(Number(calls)) : 0;
const [importMilliseconds, firstMilliseconds, cpuMilliseconds] = [
  imported - began,
  answered - imported,
  (user + system) / 1000,
];
console.log(JSON.stringify({ importMilliseconds, firstMilliseconds, cpuMilliseconds, microseconds }));
process.exit(0);
