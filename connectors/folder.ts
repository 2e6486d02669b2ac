/** Connector for folders of the machine that runs ListBackup. The deployment sets the allowed roots. */
import { Problem } from '../domain/errors.ts';
import { type Connector, parseSettings } from './connector.ts';
import { config, type FolderConfig } from './folder-settings.ts';

export const folder: Connector<FolderConfig, undefined> = {
  type: 'folder',
  order: 'entries',
  config,
  credentials: undefined,
  async open(given, _credentials, { folders, blocking }) {
    const settings = parseSettings(config, given, 'config');
    if (folders === undefined) {
      throw new Problem(
        'not-available',
        'This deployment cannot back up folders. Run ListBackup on the machine that has the folder.',
      );
    }
    const { startSession } = await import('./folder-session.ts');
    return startSession(settings, folders, blocking);
  },
};
