/** The settings of a folder source. */
import { isAbsolute } from 'node:path';
import * as z from 'zod';

export const config = z.strictObject({
  path: z
    .string()
    .max(4_096)
    .refine((path) => isAbsolute(path) && !path.includes('\0'), 'Give an absolute path.')
    .meta({ description: 'The absolute path of the folder on the server.', pattern: '^/' }),
  exclude: z
    .array(z.string().min(1).max(500))
    .max(200)
    .optional()
    .describe('Patterns to exclude, in .gitignore syntax: `*.tmp`, `node_modules/`, `/cache`, `!keep.tmp`.'),
});

export type FolderConfig = z.infer<typeof config>;
