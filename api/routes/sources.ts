/** Sources: connect, read, change and disconnect them. No answer contains credentials. */
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
import { found, idOf, idParams, jsonObject, name, timeOf } from '../shapes.ts';

const types = connectors.map(({ type }) => type);

/** The body for each type of source, with the settings of its connector. */
const kinds = connectors.map((connector) =>
  z.strictObject({
    type: z.literal(connector.type).meta({ description: 'The type of the source.' }),
    name,
    config: (connector.config as z.ZodType<JsonObject>).meta({ description: 'The settings of the connector.' }),
    ...(connector.credentials && {
      credentials: (connector.credentials as z.ZodType<JsonObject>).meta({ description: 'No answer contains them.' }),
    }),
  }),
);
type Kind = z.ZodObject<{
  type: z.ZodLiteral<(typeof types)[number]>;
  name: typeof name;
  config: z.ZodType<JsonObject>;
  credentials: z.ZodOptional<z.ZodType<JsonObject>>;
}>;
const connection = z
  .discriminatedUnion('type', kinds as unknown as [Kind, ...Kind[]], { error: `Give one of ${types.join(', ')}.` })
  .meta({
    examples: [
      { type: 'folder', name: 'Documents', config: { path: '/home/ada/Documents', exclude: ['*.tmp'] } },
      {
        type: 's3',
        name: 'Photos',
        config: { bucket: 'ada-photos', region: 'eu-central-1' },
        credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'the-secret-access-key' },
      },
    ],
  });

const source = z
  .object({
    id: idOf('source'),
    type: z.string().meta({ description: 'The type of the source: `folder` or `s3`.', examples: ['folder'] }),
    name: z.string().meta({ description: 'The name of the source.', examples: ['Documents'] }),
    status: z.string().meta({ description: 'Always `connected`.', examples: ['connected'] }),
    config: jsonObject.meta({ description: 'The settings of the connector.' }),
    createdAt: timeOf('When the source was connected.'),
  })
  .meta({ id: 'Source', description: 'A source of files. No answer contains its credentials.' });

const config = jsonObject.meta({
  description:
    'The settings of the connector. For `folder`: `path`, `exclude`. For `s3`: `bucket`, `prefix`, `region`, `endpoint`.',
});
const credentials = jsonObject.optional().meta({
  description:
    'For `s3`: `accessKeyId`, `secretAccessKey`. Omit them to keep the stored ones. No answer contains them.',
});

const params = idParams('source');
const missing = (id: string) => `Source ${id} does not exist. List sources with GET /sources.`;

export const sources: RouteModule = [
  listRoute({
    url: '/sources',
    summary: 'List sources',
    description: 'Lists the connected sources of the account.',
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
    description:
      'Connects a folder or a bucket. The server checks the form of the settings. The first run checks that the source can be read.',
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
    summary: 'Get a source',
    description: 'Returns one source.',
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
    summary: 'Change a source',
    description:
      'Replaces the settings of a source. Without `credentials`, the stored ones stay. The type cannot change.',
    tags: ['sources'],
    params,
    body: z
      .strictObject({
        name,
        config,
        credentials,
        type: z.enum(types).optional().meta({ description: 'The type of the source, unchanged. May be omitted.' }),
      })
      .meta({ examples: [{ name: 'Documents', config: { path: '/home/ada/Documents' } }] }),
    answers: { 200: source },
    problems: ['not-found', 'not-available', 'source-unusable', 'precondition-failed'],
    handler: async ({ platform, context, command, params: { id }, body, ifMatch }) => {
      const before = await findSource(platform, command.account, id);
      if (body.type !== undefined && body.type !== before.type) {
        const message = `The type of this source is ${before.type} and cannot change. Connect another source instead.`;
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
    description: 'Destroys the credentials of the source. Its jobs can no longer run. Its restore points stay.',
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

/**
 * Lets the connector check the settings: its schemas, and the rules of this deployment. Sends no request to the
 * source.
 */
async function checkSettings(
  context: ApiContext,
  account: string,
  type: string,
  config: JsonObject,
  credentials: JsonObject | undefined,
): Promise<{ config: JsonObject; credentials: JsonObject | null }> {
  const connector = connectorFor(type) as AnyConnector;
  const session = await connector.open(config, credentials, context.connectorContext(account));
  await session.close();
  return { config, credentials: connector.credentials ? (credentials ?? null) : null };
}

/** Returns the view of a source that was just written. The read model may not have it yet. */
function connectedSource({
  id,
  type,
  name,
  config,
  createdAt,
}: Omit<z.infer<typeof source>, 'status'>): z.infer<typeof source> {
  return { id, type, name, status: 'connected', config, createdAt };
}
