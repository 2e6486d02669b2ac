/** The types of the API, made from its OpenAPI document. `npm run openapi` writes them to `api-types.ts`. */
import openapiTypescript, { astToString } from 'openapi-typescript';

/** TypeScript text. The library needs the TypeScript 5 that this workspace has beside the one that checks the repository. */
export async function renderTypes(document: string): Promise<string> {
  const nodes = await openapiTypescript(document, { alphabetize: true, emptyObjectsUnknown: true });
  return `/** Made from docs/openapi.json by \`npm run openapi\`: do not edit. */\n${astToString(nodes)}`;
}
