/** What a folder is chosen by. */
import { isAbsolute } from 'node:path';
import * as z from 'zod';

export const config = z.strictObject({
  path: z
    .string()
    .max(4_096)
    .refine(
      (path) => isAbsolute(path) && !path.includes('\0'),
      'Give the whole path, from the root of the file system.',
    )
    .meta({ description: 'The folder, as an absolute path on the machine ListBackup runs on.', pattern: '^/' }),
  exclude: z
    .array(z.string().min(1).max(500))
    .max(200)
    .optional()
    .describe('What to leave out, in the manner of .gitignore: `*.tmp`, `node_modules/`, `/cache`, `!keep.tmp`.'),
});

export type FolderConfig = z.infer<typeof config>;
