/** Generates the types of the API from its OpenAPI document. `npm run openapi` writes them to `api-types.ts`. */
import openapiTypescript, { astToString } from 'openapi-typescript';

/** Returns TypeScript source. The library needs TypeScript 5, so this workspace has its own copy of it. */
export async function renderTypes(document: string): Promise<string> {
  const nodes = await openapiTypescript(document, { alphabetize: true, emptyObjectsUnknown: true });
  return `/** Made from docs/openapi.json by \`npm run openapi\`: do not edit. */\n${astToString(nodes)}`;
}
