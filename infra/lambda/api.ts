/** The REST API behind API Gateway's HTTP API. */
import awsLambdaFastify, { type LambdaResponse } from '@fastify/aws-lambda';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import type { LightMyRequestResponse } from 'fastify';
import { type AppOptions, buildApp } from '../../api/app.ts';
import { projections } from '../../projections/index.ts';
import { required } from '../aws/environment.ts';
import { openAws } from '../aws/platform.ts';
import { connectorContext } from './deployment.ts';
import { fromEdge } from './edge.ts';
import { withRawPath } from './raw-path.ts';

const textTypes = /^(application\/(problem\+)?json|text\/(html|javascript))\b/;
/** Bytes. Lambda limits answers to 6 MB. Base64 adds a third, and headers need room too. */
const maxAnswer = 4 * 1024 * 1024;

const platform = openAws();
const options: AppOptions = {
  platform,
  deployment: 'aws',
  connectorContext: connectorContext(process.env),
  followers: projections,
  live: required(process.env, 'LIVE_URL'),
  rateScale: Number(process.env.LISTBACKUP_RATE_LIMIT ?? 1),
  exports: { over: maxAnswer, link: platform.exportLink },
};
const proxy = awsLambdaFastify(await buildApp(options), { decorateRequest: false, enforceBase64: isBytes });

export async function handler(event: APIGatewayProxyEventV2, context: Context): Promise<LambdaResponse> {
  const proof = process.env.EDGE_PROOF;
  const arrived = proof ? fromEdge(event, proof) : { event, origin: `https://${event.requestContext.domainName}` };
  if (!arrived) return { statusCode: 403, body: '', headers: {}, isBase64Encoded: false };
  // The function is created before the API has an address, so the origin comes from the request.
  options.origin = process.env.LISTBACKUP_ORIGIN ?? arrived.origin;
  return proxy(withRawPath(arrived.event), context);
}

/** True when Lambda must send the body as base64. Backed-up content always counts as bytes, whatever its type. */
function isBytes({ headers }: LightMyRequestResponse): boolean {
  return (
    headers['content-disposition'] !== undefined ||
    !textTypes.test(String(headers['content-type'] ?? 'application/json'))
  );
}
