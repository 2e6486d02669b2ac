/** Sources: connect, look, change, disconnect. Credentials go in and never come out. */
import * as z from 'zod';
import { changeSource } from '../../commands/change-source.ts';
import { connectSource } from '../../commands/connect-source.ts';
import { getCredentials } from '../../commands/credentials.ts';
import { disconnectSource } from '../../commands/disconnect-source.ts';
import type { AnyConnector } from '../../connectors/connector.ts';
import { connectorFor, connectors } from '../../connectors/index.ts';
import { Problem } from '../../domain/errors.ts';
import type { JsonObject } from '../../domain/ports.ts';
import { getSource, listSources, sources as model } from '../../projections/sources.ts';
import { findSource } from '../current-state.ts';
import { type ApiContext, created, listRoute, noContent, ok, type RouteModule, route } from '../route.ts';
import { found, idParams, jsonObject, name } from '../shapes.ts';

const types = connectors.map(({ type }) => type);

/** A body for each kind of source, with the settings of that kind. */
const kinds = connectors.map((connector) =>
  z.strictObject({
    type: z.literal(connector.type),
    name,
    config: connector.config as z.ZodType<JsonObject>,
    ...(connector.credentials ? { credentials: connector.credentials as z.ZodType<JsonObject> } : {}),
  }),
);
type Kind = z.ZodObject<{
  type: z.ZodLiteral<(typeof types)[number]>;
  name: typeof name;
  config: z.ZodType<JsonObject>;
  credentials: z.ZodOptional<z.ZodType<JsonObject>>;
}>;
const connection = z.discriminatedUnion('type', kinds as unknown as [Kind, ...Kind[]], {
  error: `Give one of ${types.join(', ')}.`,
});

const source = z
  .object({
    id: z.string(),
    type: z.string(),
    name: z.string(),
    status: z.string().meta({ description: '`connected`.' }),
    config: jsonObject,
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Source' });

const config = jsonObject.meta({
  description: 'By type: `folder {path, exclude?}`, `s3 {bucket, prefix?, region?, endpoint?}`.',
});
const credentials = jsonObject
  .optional()
  .meta({ description: 'By type: `s3 {accessKeyId, secretAccessKey}`. They never come back.' });

const params = idParams('source');
const missing = (id: string) => `There is no source ${id}. GET /sources lists yours.`;

export const sources: RouteModule = [
  listRoute({
    url: '/sources',
    summary: 'List sources',
    tags: ['sources'],
    reads: [model.name],
    item: source,
    leadsTo: { 200: ['GET /sources/{id}'] },
    handler: ({ platform, principal, page }) => listSources(platform, principal.account, page),
  }),
  route({
    method: 'POST',
    url: '/sources',
    summary: 'Connect a source',
    tags: ['sources'],
    body: connection,
    answers: { 201: source },
    problems: ['not-available', 'source-unusable'],
    leadsTo: {
      201: [
        'GET /sources/{id}',
        'PUT /sources/{id}',
        'DELETE /sources/{id}',
        { to: 'POST /jobs', body: { sourceId: '$response.body#/id' } },
        { to: 'GET /data/files', parameters: { sourceId: '$response.body#/id' } },
      ],
    },
    handler: async ({ platform, context, command, body }) => {
      const settings = await checkSettings(context, command.account, body.type, body.config, body.credentials);
      const { id, written, at } = await connectSource(platform, command, {
        type: body.type,
        name: body.name,
        ...settings,
      });
      const view = connectedSource({ id, type: body.type, name: body.name, config: settings.config, createdAt: at });
      return created(`/sources/${id}`, view, { written, version: written.version });
    },
  }),
  route({
    method: 'GET',
    url: '/sources/{id}',
    summary: 'Look at a source',
    tags: ['sources'],
    reads: [model.name],
    params,
    answers: { 200: source },
    problems: ['not-found'],
    handler: async ({ platform, principal, params: { id } }) => {
      const view = found(await getSource(platform, principal.account, id), missing(id));
      return ok(view, { version: view.version });
    },
  }),
  route({
    method: 'PUT',
    url: '/sources/{id}',
    summary: 'Change a source, or give it new credentials',
    description: 'Without `credentials` the stored ones stay. The type cannot change.',
    tags: ['sources'],
    params,
    body: z.strictObject({ name, config, credentials, type: z.enum(types).optional() }),
    answers: { 200: source },
    problems: ['not-found', 'not-available', 'source-unusable', 'precondition-failed'],
    handler: async ({ platform, context, command, params: { id }, body, ifMatch }) => {
      const before = await findSource(platform, command.account, id);
      if (body.type !== undefined && body.type !== before.type) {
        const message = `It is a source of type ${before.type}. Connect another source for another type.`;
        throw new Problem('invalid-input', message, { errors: [{ path: 'type', message }] });
      }
      const kept = body.credentials ?? (await getCredentials(platform, command.account, id)) ?? undefined;
      const settings = await checkSettings(context, command.account, before.type, body.config, kept);
      const change = { name: body.name, config: settings.config, credentials: body.credentials };
      const { written } = await changeSource(platform, { ...command, ifVersion: ifMatch }, id, change);
      const view = connectedSource({ id, name: body.name, config: settings.config, ...before });
      return ok(view, { written, version: written.version });
    },
  }),
  route({
    method: 'DELETE',
    url: '/sources/{id}',
    summary: 'Disconnect a source',
    description: 'Its credentials are destroyed and its jobs run no more. What was backed up stays.',
    tags: ['sources'],
    params,
    answers: { 204: z.undefined() },
    problems: ['not-found', 'precondition-failed'],
    handler: async ({ platform, command, params: { id }, ifMatch }) => {
      const { written } = await disconnectSource(platform, { ...command, ifVersion: ifMatch }, id);
      return noContent({ written });
    },
  }),
];

/** The settings as the connector has them: checked by its schemas and by what this home allows. Nothing is fetched yet. */
async function checkSettings(
  context: ApiContext,
  account: string,
  type: string,
  wantedConfig: JsonObject,
  wantedCredentials: JsonObject | undefined,
): Promise<{ config: JsonObject; credentials: JsonObject | null }> {
  const connector = connectorFor(type) as AnyConnector;
  const session = await connector.open(wantedConfig, wantedCredentials, context.connectorContext(account));
  await session.close();
  return { config: wantedConfig, credentials: connector.credentials ? (wantedCredentials ?? null) : null };
}

/** A source that was just written, as its read model will have it. */
function connectedSource({
  id,
  type,
  name,
  config,
  createdAt,
}: Omit<z.infer<typeof source>, 'status'>): z.infer<typeof source> {
  return { id, type, name, status: 'connected', config, createdAt };
}
