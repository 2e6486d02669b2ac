/** The baseline of the API: Fastify behind the same adapter, with one route and a short answer. */
import awsLambdaFastify from '@fastify/aws-lambda';
import Fastify from 'fastify';

const app = Fastify();
app.get('/health', async () => ({ status: 'ok' }));
export const handler = awsLambdaFastify(app, { decorateRequest: false });
await app.ready();
