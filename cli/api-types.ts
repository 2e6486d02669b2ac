/** Made from docs/openapi.json by `npm run openapi`: do not edit. */
export interface paths {
  '/activity': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * List events
     * @description Lists the events of the account in ledger order. Use it as an audit log.
     */
    get: operations['getActivity'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/analytics/overview': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Get an overview
     * @description Returns the number of sources, jobs, runs and files, and the stored bytes and cost.
     */
    get: operations['getAnalyticsOverview'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/auth/login': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Sign in
     * @description Starts a session and returns its tokens. After 10 wrong passwords from one IP address within 15 minutes, the answer is a 429 with `Retry-After`.
     */
    post: operations['postAuthLogin'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/auth/logout': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Sign out
     * @description Ends the session of the refresh token. All its tokens become invalid at once.
     */
    post: operations['postAuthLogout'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/auth/refresh': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Refresh the tokens
     * @description Exchanges a refresh token for a new pair. Each refresh token works once. Within 10 s, a repeat gets another pair. After that, reuse ends the session.
     */
    post: operations['postAuthRefresh'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/auth/register': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Register
     * @description Creates an account and its first user. The answer is a 202 where the e-mail address must be confirmed first: open the link in the e-mail, then sign in.
     */
    post: operations['postAuthRegister'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/data/download': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Download a file or a zip
     * @description With `fileId`: returns a URL that needs no other credential, expires after 15 minutes and answers ranges. On AWS, a file over 4 MiB is prepared first. With `sourceId` and `paths`: starts to prepare a zip. GET /data/downloads/{id} returns the URL of what is prepared. A request of the same content joins the one before. The zip keeps whole paths, times, permissions and links. It writes unsafe parts of names as `%XX`: empty parts, `.`, `..`, drives, backslashes, control characters and bytes that are not UTF-8.
     */
    post: operations['postDataDownload'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/data/downloads/{id}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Get a prepared download
     * @description Returns the state of a prepared zip or file and, once it is ready, its URL. Each request returns a new URL, which expires after at most 15 minutes. A prepared download is deleted within a day.
     */
    get: operations['getDataDownloadsId'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/data/files': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Browse files
     * @description Lists a folder in the newest restore point of each source, or in the restore point at `asOf`. With `recursive=true`, it lists everything below the folder. A page that takes long ends early, with fewer items than `limit` or none: continue until `next` is null. A page ends before a damaged restore point. The next page is a 409 `backup-damaged` that names it. Without a `sourceId` or `jobId` the problem has a `next`: send it as the cursor to get the other sources.
     */
    get: operations['getDataFiles'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/data/files/{id}/versions': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * List the versions of a file
     * @description Lists all versions, newest first. A deletion is a version too: it is `deleted` and has no content.
     */
    get: operations['getDataFilesIdVersions'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/data/search': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Search files
     * @description Searches the newest restore point of each source, or the one at `asOf`, in the order of paths. A page that takes long ends early, with fewer items than `limit` or none: continue until `next` is null. A page ends before a damaged restore point. The next page is a 409 `backup-damaged` that names it. Without a `sourceId` or `jobId` the problem has a `next`: send it as the cursor to get the other sources.
     */
    post: operations['postDataSearch'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/downloads/{token}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Download the content of a download URL
     * @description The token in the path is the only credential. Answers byte ranges. On AWS, large answers of a prepared download get a 307 to a signed S3 URL.
     */
    get: operations['getDownloadsToken'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/health': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Check the service
     * @description Answers 200 when the service is ready. Unknown query parameters are allowed.
     */
    get: operations['getHealth'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/jobs': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * List jobs
     * @description Lists the jobs of the account.
     */
    get: operations['getJobs'];
    put?: never;
    /**
     * Create a job
     * @description Creates a job that backs up a source. POST /jobs/{id}/run runs it.
     */
    post: operations['postJobs'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/jobs/{id}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Get a job
     * @description Returns one job.
     */
    get: operations['getJobsId'];
    /**
     * Change a job
     * @description Replaces the settings of a job. Its source cannot change: create another job for another source.
     */
    put: operations['putJobsId'];
    post?: never;
    /**
     * Delete a job
     * @description Deletes the job. Its restore points stay.
     */
    delete: operations['deleteJobsId'];
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/jobs/{id}/run': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Run a job
     * @description Requests a run, which starts in the background. GET /runs/{id} shows its progress.
     */
    post: operations['postJobsIdRun'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/live/ticket': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Open a live socket
     * @description Returns the URL of a WebSocket that reports the events of the account. The URL opens one socket
     *     within 60 s.
     *
     *     Messages are JSON: `{seq, type, at, data}`.
     *     - `activity`: an event. `data` is an item of `GET /activity`, and `seq` is the commit's number in the ledger.
     *     - `run.progress`: a run that has not ended. `data` is the run, as `GET /runs/{id}` returns it now. One message may
     *       follow several events of the run. Counts never decrease.
     *     - `run.finished`: a run that has ended. `data` is the run, as `GET /runs/{id}` returns it. It is the last message of
     *       the run and follows the `activity` message of its end.
     *
     *     `seq` increases with every message and may be a fraction. A new socket reports only new events. To resume, add `&since=`
     *     and the `seq` of your last message: you get every later `activity` and `run.finished` message once. Progress of the past
     *     may be left out. `&since=0` starts at the beginning.
     *
     *     The server closes a socket after 2 hours, after 10 minutes without a message, when the session ends, and when the client
     *     reads too slowly. Then request a new URL and resume. The server ignores messages from the client.
     *     A message has at most 128 KB. A larger one omits the last `errors` of a run, or has null as `data.data`.
     */
    post: operations['postLiveTicket'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/me': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Get the signed-in user
     * @description Returns the user and the account of the access token.
     */
    get: operations['getMe'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/runs': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * List runs
     * @description Lists the runs of the account, newest first. With `status` a page may be short or empty although more follow.
     */
    get: operations['getRuns'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/runs/{id}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Get a run
     * @description Returns one run with its progress.
     */
    get: operations['getRunsId'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/runs/{id}/cancel': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Cancel a run
     * @description Ends a run. Its workers stop within half a minute. Earlier restore points stay.
     */
    post: operations['postRunsIdCancel'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/runs/{id}/errors': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * List the errors of a run
     * @description Lists every file of a run that failed or was skipped.
     */
    get: operations['getRunsIdErrors'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/runs/{id}/pause': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Pause a run
     * @description Pauses a run. Its workers stop within half a minute. What they stored stays.
     */
    post: operations['postRunsIdPause'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/runs/{id}/resume': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Resume a run
     * @description Lets a paused run go on where it stopped.
     */
    post: operations['postRunsIdResume'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/runs/{id}/retry': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Retry a run
     * @description Requests a new run that reads only what failed in a partial run. It lists the whole source if the run failed, if a later run succeeded, if a folder could not be listed, or if more than 10,000 files failed.
     */
    post: operations['postRunsIdRetry'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/sources': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * List sources
     * @description Lists the connected sources of the account.
     */
    get: operations['getSources'];
    put?: never;
    /**
     * Connect a source
     * @description Connects a folder or a bucket. The server checks the form of the settings. The first run checks that the source can be read.
     */
    post: operations['postSources'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/sources/{id}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Get a source
     * @description Returns one source.
     */
    get: operations['getSourcesId'];
    /**
     * Change a source
     * @description Replaces the settings of a source. Without `credentials`, the stored ones stay. The type cannot change.
     */
    put: operations['putSourcesId'];
    post?: never;
    /**
     * Disconnect a source
     * @description Destroys the credentials of the source. Its jobs can no longer run. Its restore points stay.
     */
    delete: operations['deleteSourcesId'];
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
}
export type webhooks = Record<string, never>;
export interface components {
  schemas: {
    /** @description One event of the account. */
    Activity: {
      /** @description The actor that caused the event. */
      actor: {
        /** @description The id of the user or API key, or the name of the system part. */
        id: string;
        /**
         * @description The kind of actor.
         * @enum {string}
         */
        type: 'user' | 'api-key' | 'system';
      };
      /**
       * Format: date-time
       * @description When the event happened.
       */
      at: string;
      /** @description The content of the event. It depends on `type`. */
      data: {
        [key: string]: unknown;
      };
      /** @description The hash of the commit, chained to the previous commit of its stream. */
      hash: string;
      /** @description The id of the event. */
      id: string;
      /** @description The event's index in its commit, from 0. */
      index: number;
      /** @description The commit's number in the ledger of the account, without gaps from 1. */
      seq: number;
      /** @description The stream of the event: `{account}/{type}/{id}`. */
      stream: string;
      /**
       * @description The type of the event with its version.
       * @example run.requested.v1
       */
      type: string;
      /** @description The commit's number in its stream, from 1. */
      version: number;
    };
    /** @description The URL of a file. */
    Download: {
      /**
       * Format: date-time
       * @description When the URL expires.
       */
      expiresAt: string;
      /** @description SHA-256 of the content in hex. */
      sha256: string;
      /** @description Bytes. */
      size: number;
      /**
       * Format: uri
       * @description The download URL. It needs no other credential.
       */
      url: string;
    };
    /** @description A download that is being prepared. */
    DownloadRequested: {
      /**
       * @description The id of the download.
       * @example dow_00000000000000000000000000
       */
      id: string;
      /**
       * @description The state of the download.
       * @enum {string}
       */
      status: 'preparing' | 'ready' | 'failed';
    };
    /** @description A file, folder or link in a restore point. */
    File: {
      /** @description The id of the file. All its versions share it. */
      id: string;
      /**
       * @description The id of the job.
       * @example job_00000000000000000000000000
       */
      jobId: string;
      /**
       * @description The kind of entry. A link is a symbolic link.
       * @enum {string}
       */
      kind: 'file' | 'folder' | 'link';
      /** @description The MIME type, null if it is unknown. */
      mimeType: string | null;
      /** @description The modification time, null if the source has none. */
      modifiedAt: string | null;
      /**
       * @description The last part of the path.
       * @example a.txt
       */
      name: string;
      /**
       * @description The path in the source, with `/` between names.
       * @example letters/a.txt
       */
      path: string;
      /** @description The bytes of the path in base64, if they are not UTF-8. */
      pathBytes?: string;
      /**
       * @description The id of the run that backed up this version.
       * @example run_00000000000000000000000000
       */
      runId: string;
      /** @description SHA-256 of the content in hex. Null for folders and links. */
      sha256: string | null;
      /** @description Bytes. */
      size: number;
      /**
       * @description The id of the source.
       * @example src_00000000000000000000000000
       */
      sourceId: string;
      /** @description The number of versions up to this one. */
      versions: number;
    };
    /** @description One version of a file. */
    FileVersion: {
      /** @description The time of the restore point. */
      at: string;
      /** @description Whether this version records that the file was deleted. */
      deleted: boolean;
      /** @description The id of the run that backed up the version or recorded the deletion. */
      runId: string;
      /** @description SHA-256 of the content in hex. Null if there is no content. */
      sha256: string | null;
      /** @description Bytes. */
      size: number;
      /** @description The number of the version, from 1. */
      version: number;
    };
    /** @description A job backs up one source. */
    Job: {
      /**
       * Format: date-time
       * @description When the job was created.
       */
      createdAt: string;
      /**
       * @description The id of the job.
       * @example job_00000000000000000000000000
       */
      id: string;
      /**
       * @description The name of the job.
       * @example Documents
       */
      name: string;
      /** @description Always null: this version keeps all restore points. */
      retention: null;
      /** @description Always null: this version runs jobs only on request. */
      schedule: null;
      /**
       * @description The id of the source.
       * @example src_00000000000000000000000000
       */
      sourceId: string;
      /**
       * @description Always `active`.
       * @example active
       */
      status: string;
    };
    /** @description Opens one live socket. */
    LiveTicket: {
      /**
       * Format: date-time
       * @description When the ticket expires.
       */
      expiresAt: string;
      /**
       * Format: uri
       * @description The URL of the WebSocket. It holds a ticket, so keep it secret.
       */
      url: string;
    };
    /** @description The caller. */
    Me: {
      /** @description The account. */
      account: {
        /**
         * @description The id of the account.
         * @example acc_00000000000000000000000000
         */
        id: string;
        /**
         * @description The name of the account.
         * @example Ada
         */
        name: string;
        /**
         * @description The role of the user in the account.
         * @example owner
         */
        role: string;
      };
      /** @description The user. */
      user: {
        /**
         * @description The e-mail address that the user signs in with.
         * @example ada@example.org
         */
        email: string;
        /**
         * @description The id of the user.
         * @example usr_00000000000000000000000000
         */
        id: string;
        /**
         * @description The name of the user.
         * @example Ada
         */
        name: string;
      };
    };
    /** @description Numbers of the whole account. */
    Overview: {
      /** @description The size of these files, in bytes. */
      bytesProtected: number;
      /** @description Bytes that all runs wrote to storage. */
      bytesStored: number;
      /** @description The cost of all runs, in US dollars. */
      cost: number;
      /** @description Files in the newest restore points. */
      files: number;
      /** @description Jobs. */
      jobs: number;
      /** @description When the last run ended. Null before the first one. */
      lastRunAt: string | null;
      /** @description The number of runs, by outcome. */
      runs: {
        /** @description Runs that failed and made no restore point. */
        failed: number;
        /** @description Runs in which some files failed. */
        partial: number;
        /** @description Runs that backed up everything. */
        succeeded: number;
        /** @description All runs. */
        total: number;
      };
      /** @description Connected sources. */
      sources: number;
    };
    /** @description A prepared zip or file. */
    PreparedDownload: {
      /** @description The reason, if the download failed. */
      error?: {
        /** @description The kind of error. Stable. */
        code: string;
        /** @description What happened, then what to do. */
        message: string;
      };
      /**
       * Format: date-time
       * @description When the URL expires.
       */
      expiresAt?: string;
      /**
       * @description The id of the download.
       * @example dow_00000000000000000000000000
       */
      id: string;
      /** @description The part that is done, from 0 to 1. */
      progress: number;
      /** @description SHA-256 of a file in hex. A zip has none. */
      sha256?: string;
      /** @description Bytes. */
      size?: number;
      /**
       * @description The state of the download.
       * @enum {string}
       */
      status: 'preparing' | 'ready' | 'failed';
      /**
       * Format: uri
       * @description The download URL, if the download is ready.
       */
      url?: string;
    };
    /** @description An error, as RFC 9457 problem details. Some codes add members. */
    Problem: {
      /**
       * @description Stable. Programs decide by it.
       * @example not-found
       */
      code: string;
      /**
       * @description What happened, unless `title` says it all, then what to do.
       * @example Job job_00000000000000000000000000 does not exist. List jobs with GET /jobs.
       */
      detail: string;
      /** @description The wrong fields, at most 50. */
      errors?: {
        /** @description What the field has to be. */
        message: string;
        /** @description The field, with dots: `config.path`. Or the name of a header. */
        path: string;
      }[];
      /**
       * @description The HTTP status.
       * @example 404
       */
      status: number;
      /**
       * @description The same for every problem with this `code`.
       * @example Not found
       */
      title: string;
      /**
       * @description Names the kind of problem. It is not the URL of a page.
       * @example urn:listbackup:problem:not-found
       */
      type: string;
    } & {
      [key: string]: unknown;
    };
    /** @description The new user and account. */
    Registration: {
      /** @description The account. */
      account: {
        /**
         * @description The id of the account.
         * @example acc_00000000000000000000000000
         */
        id: string;
        /**
         * @description The name of the account.
         * @example Ada
         */
        name: string;
        /**
         * @description The role of the user in the account.
         * @example owner
         */
        role: string;
      };
      /** @description The user. */
      user: {
        /**
         * @description The e-mail address that the user signs in with.
         * @example ada@example.org
         */
        email: string;
        /**
         * @description The id of the user.
         * @example usr_00000000000000000000000000
         */
        id: string;
        /**
         * @description The name of the user.
         * @example Ada
         */
        name: string;
      };
    };
    /** @description A run that has not started yet. */
    RequestedRun: {
      /**
       * @description The id of the run.
       * @example run_00000000000000000000000000
       */
      id: string;
      /**
       * @description The id of the job.
       * @example job_00000000000000000000000000
       */
      jobId: string;
      /**
       * @description Always `requested`.
       * @constant
       */
      status: 'requested';
    };
    /** @description One execution of a job. */
    Run: {
      /** @description The cost of the run. */
      cost: {
        /** @description Requests to the source and the storage. */
        requests: number;
        /** @description US dollars. */
        usd: number;
      };
      /** @description The first 100 files that failed or were skipped. GET /runs/{id}/errors lists all. */
      errors: components['schemas']['RunError'][];
      /** @description When the run ended. Null before. */
      finishedAt: string | null;
      /**
       * @description The id of the run.
       * @example run_00000000000000000000000000
       */
      id: string;
      /**
       * @description The id of the job.
       * @example job_00000000000000000000000000
       */
      jobId: string;
      /**
       * @description What the run does. Always `backup` in this version.
       * @enum {string}
       */
      kind: 'backup' | 'restore' | 'verify' | 'prune';
      /** @description Counts of files and bytes. */
      progress: {
        /** @description Bytes read from the source. */
        bytesRead: number;
        /** @description Bytes that this run wrote to storage, after deduplication and compression. */
        bytesStored: number;
        /** @description Files that were deleted from the source since the last restore point. */
        filesDeleted: number;
        /** @description New and changed files that were stored. */
        filesDone: number;
        /** @description Files that could not be read. */
        filesFailed: number;
        /** @description Files that cannot be backed up, such as sockets and devices. */
        filesSkipped: number;
        /** @description Files in the source. */
        filesTotal: number;
        /** @description Files that did not change since the last restore point. */
        filesUnchanged: number;
        /** @description Null until the run is planned. */
        percent: number | null;
      };
      /**
       * Format: date-time
       * @description When the run was requested.
       */
      requestedAt: string;
      /** @description Null for backups. */
      result: {
        [key: string]: unknown;
      } | null;
      /**
       * @description The id of the source.
       * @example src_00000000000000000000000000
       */
      sourceId: string;
      /** @description When the run started. Null before. */
      startedAt: string | null;
      /**
       * @description The last four are final. `partial`: a restore point exists, but some files failed. `failed`: there is no restore point.
       * @enum {string}
       */
      status: 'requested' | 'running' | 'paused' | 'succeeded' | 'partial' | 'failed' | 'cancelled';
      /**
       * @description Why the run was requested. `retry`: it reads what failed in an earlier run.
       * @enum {string}
       */
      trigger: 'manual' | 'schedule' | 'retry' | 'api-key';
    };
    /** @description A file that failed or was skipped. */
    RunError: {
      /** @description The kind of error. Stable. */
      code: string;
      /** @description What happened, then what to do. */
      message: string;
      /** @description The path of the file. Empty: the error concerns the whole run. */
      path: string;
    };
    /** @description A source of files. No answer contains its credentials. */
    Source: {
      /** @description The settings of the connector. */
      config: {
        [key: string]: unknown;
      };
      /**
       * Format: date-time
       * @description When the source was connected.
       */
      createdAt: string;
      /**
       * @description The id of the source.
       * @example src_00000000000000000000000000
       */
      id: string;
      /**
       * @description The name of the source.
       * @example Documents
       */
      name: string;
      /**
       * @description Always `connected`.
       * @example connected
       */
      status: string;
      /**
       * @description The type of the source: `folder` or `s3`.
       * @example folder
       */
      type: string;
    };
    /** @description A pair of tokens. */
    Tokens: {
      /** @description Send it as `Authorization: Bearer …`. */
      accessToken: string;
      /**
       * @description Seconds until the access token expires.
       * @example 900
       */
      expiresIn: number;
      /** @description Exchange it once for a new pair with POST /auth/refresh. */
      refreshToken: string;
      /**
       * @description Always `Bearer`.
       * @constant
       */
      tokenType: 'Bearer';
    };
  };
  responses: never;
  parameters: never;
  requestBodies: never;
  headers: never;
  pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
  getActivity: {
    parameters: {
      query?: {
        /** @description Only events of the actor with this id. */
        actor?: string;
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /** @description Only events at or after this time. */
        from?: string;
        /** @description The maximum number of items. Default: 50. A page of large items has fewer. */
        limit?: number;
        /** @description `asc`: oldest first. `desc`: newest first. */
        order?: 'asc' | 'desc';
        /** @description Only events before this time. */
        to?: string;
        /** @description Only events of this type. The version may be omitted: `run.requested`. */
        type?: string;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /** @description One page. */
            items: components['schemas']['Activity'][];
            /** @description The cursor of the next page. Null on the last page. */
            next: string | null;
          };
        };
      };
      /** @description `invalid-cursor`: The cursor is not valid. `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getAnalyticsOverview: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description The ETag of your copy. If it is current, the answer is a 304. */
        'If-None-Match'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description The version of the resource, for `If-Match` and `If-None-Match`. */
          ETag?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Overview'];
        };
      };
      /** @description The resource still has the tag in `If-None-Match`. The answer has no body. */
      304: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postAuthLogin: {
    parameters: {
      query?: never;
      header?: {
        /** @description A repeated request has no second effect. Its answer holds new credentials. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        /**
         * @example {
         *       "email": "ada@example.org",
         *       "password": "correct horse battery"
         *     }
         */
        'application/json': {
          /** @description The e-mail address of the user. */
          email: string;
          /** @description The password of the user. */
          password: string;
        };
      };
    };
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Tokens'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `invalid-credentials`: E-mail or password is wrong. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `email-unconfirmed`: Confirm the e-mail address first. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postAuthLogout: {
    parameters: {
      query?: never;
      header?: {
        /** @description A repeated request has no second effect. Its answer holds new credentials. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        /**
         * @example {
         *       "refreshToken": "the-refresh-token-from-the-login"
         *     }
         */
        'application/json': {
          /** @description The newest refresh token of the session. */
          refreshToken: string;
        };
      };
    };
    responses: {
      /** @description Done. The answer has no body. */
      204: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postAuthRefresh: {
    parameters: {
      query?: never;
      header?: {
        /** @description A repeated request has no second effect. Its answer holds new credentials. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        /**
         * @example {
         *       "refreshToken": "the-refresh-token-from-the-login"
         *     }
         */
        'application/json': {
          /** @description The newest refresh token of the session. */
          refreshToken: string;
        };
      };
    };
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Tokens'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postAuthRegister: {
    parameters: {
      query?: never;
      header?: {
        /** @description For a day, repeats with the same key and input get the first answer. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        /**
         * @example {
         *       "email": "ada@example.org",
         *       "password": "correct horse battery",
         *       "name": "Ada"
         *     }
         */
        'application/json': {
          /**
           * Format: email
           * @description The e-mail address to sign in with.
           */
          email: string;
          /** @description The name of the user. The account gets it too. */
          name: string;
          /** @description At least 12 characters. */
          password: string;
        };
      };
    };
    responses: {
      /** @description Created. */
      201: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          /** @description The URL of the created resource. */
          Location?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Registration'];
        };
      };
      /** @description Accepted. The work continues in the background. */
      202: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': Record<string, unknown>;
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `email-taken`: The e-mail address is taken. `idempotency-in-progress`: The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `weak-password`: The password is too weak. `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postDataDownload: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description A repeated request has no second effect. Its answer holds new credentials. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json':
          | {
              /**
               * Format: date-time
               * @description Use the newest restore point at or before this time. Default: now.
               */
              asOf?: string;
              /** @description Files and folders. A folder includes everything below it. An empty path is the whole source. */
              paths: string[];
              /**
               * @description The id of a source.
               * @example src_00000000000000000000000000
               */
              sourceId: string;
            }
          | {
              /** @description The id of the file, from GET /data/files. */
              fileId: string;
              /** @description The version to download. Default: the newest one with content, also of a deleted file. */
              version?: number;
            };
      };
    };
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Download'];
        };
      };
      /** @description Accepted. The work continues in the background. */
      202: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['DownloadRequested'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `damaged`: The backup is damaged. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getDataDownloadsId: {
    parameters: {
      query?: never;
      header?: {
        /** @description The ETag of your copy. If it is current, the answer is a 304. */
        'If-None-Match'?: string;
      };
      path: {
        /**
         * @description The id of the download.
         * @example dow_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description The version of the resource, for `If-Match` and `If-None-Match`. */
          ETag?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['PreparedDownload'];
        };
      };
      /** @description The resource still has the tag in `If-None-Match`. The answer has no body. */
      304: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `gone`: No longer available. */
      410: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getDataFiles: {
    parameters: {
      query?: {
        /** @description Use the newest restore point at or before this time. Default: now. */
        asOf?: string;
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /**
         * @description Only restore points of this job. Default: the newest one of any job of the source.
         * @example job_00000000000000000000000000
         */
        jobId?: string;
        /** @description The maximum number of items. Default: 50. A page of large items has fewer. */
        limit?: number;
        /** @description The path of a folder or file. Default: the root. */
        path?: string;
        /** @description Whether to list everything below the folder. Default: `false`. */
        recursive?: 'true' | 'false';
        /**
         * @description Only this source. Default: all sources.
         * @example src_00000000000000000000000000
         */
        sourceId?: string;
      };
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /** @description One page. */
            items: components['schemas']['File'][];
            /** @description The cursor of the next page. Null on the last page. */
            next: string | null;
          };
        };
      };
      /** @description `invalid-cursor`: The cursor is not valid. `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `backup-damaged`: The restore point is damaged. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getDataFilesIdVersions: {
    parameters: {
      query?: {
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /** @description The maximum number of items. Default: 50. A page of large items has fewer. */
        limit?: number;
      };
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
      };
      path: {
        /** @description The id of the file. */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /** @description One page. */
            items: components['schemas']['FileVersion'][];
            /** @description The cursor of the next page. Null on the last page. */
            next: string | null;
          };
        };
      };
      /** @description `invalid-cursor`: The cursor is not valid. `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `damaged`: The backup is damaged. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postDataSearch: {
    parameters: {
      query?: {
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /** @description The maximum number of items. Default: 50. A page of large items has fewer. */
        limit?: number;
      };
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description For a day, repeats with the same key and input get the first answer. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        /**
         * @example {
         *       "query": "invoice 2026",
         *       "types": [
         *         "pdf"
         *       ],
         *       "minSize": 1
         *     }
         */
        'application/json': {
          /**
           * Format: date-time
           * @description Use the newest restore point at or before this time. Default: now.
           */
          asOf?: string;
          /** @description The maximum size in bytes. Excludes folders and links. */
          maxSize?: number;
          /** @description The minimum size in bytes. Excludes folders and links. */
          minSize?: number;
          /**
           * Format: date-time
           * @description Only files modified at or after this time. Excludes files without a time.
           */
          modifiedAfter?: string;
          /**
           * Format: date-time
           * @description Only files modified before this time. Excludes files without a time.
           */
          modifiedBefore?: string;
          /** @description Words that must all occur in the path. Case and accents are ignored. Empty: every path matches. At most 20 different words. */
          query: string;
          /**
           * @description Only files of this source.
           * @example src_00000000000000000000000000
           */
          sourceId?: string;
          /** @description Only files of one of these types. A type is a MIME type (`image/png`), a group of MIME types (`image/*` or `image`), the end of a name (`pdf`, `.pdf` or `tar.gz`), or a kind (`file`, `folder` or `link`). */
          types?: string[];
        };
      };
    };
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /** @description One page. */
            items: components['schemas']['File'][];
            /** @description The cursor of the next page. Null on the last page. */
            next: string | null;
          };
        };
      };
      /** @description `invalid-cursor`: The cursor is not valid. `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `backup-damaged`: The restore point is damaged. `idempotency-in-progress`: The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getDownloadsToken: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description The token from the download URL. */
        token: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': unknown;
        };
      };
      /** @description The requested range. */
      206: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': unknown;
        };
      };
      /** @description The content is at the URL in `Location`. */
      307: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `damaged`: The backup is damaged. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `gone`: No longer available. */
      410: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `range-not-satisfiable`: The range is outside the file. */
      416: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getHealth: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /**
             * @description Always `ok`.
             * @enum {string}
             */
            status: 'ok';
            /** @description The version of ListBackup. */
            version: string;
          };
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getJobs: {
    parameters: {
      query?: {
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /** @description The maximum number of items. Default: 50. A page of large items has fewer. */
        limit?: number;
      };
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /** @description One page. */
            items: components['schemas']['Job'][];
            /** @description The cursor of the next page. Null on the last page. */
            next: string | null;
          };
        };
      };
      /** @description `invalid-cursor`: The cursor is not valid. `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postJobs: {
    parameters: {
      query?: never;
      header?: {
        /** @description For a day, repeats with the same key and input get the first answer. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        /**
         * @example {
         *       "name": "Documents",
         *       "sourceId": "src_00000000000000000000000000"
         *     }
         */
        'application/json': {
          /** @description 1 to 200 characters, without control characters. */
          name: string;
          /** @description Not supported yet. Omit it, or send null. */
          retention?: {
            /** @description Keep one restore point of each of this many days. */
            daily?: number;
            /** @description Keep one restore point of each of this many hours. */
            hourly?: number;
            /** @description Keep this many of the newest restore points. */
            keepLast?: number;
            /** @description Keep all restore points within this ISO 8601 duration. */
            keepWithin?: string;
            /** @description Keep one restore point of each of this many months. */
            monthly?: number;
            /** @description Keep one restore point of each of this many weeks. */
            weekly?: number;
            /** @description Keep one restore point of each of this many years. */
            yearly?: number;
          } | null;
          /** @description Not supported yet. Omit it, or send null. */
          schedule?: {
            /** @description Five cron fields. */
            cron: string;
            /** @description An IANA time zone. */
            timeZone: string;
          } | null;
          /**
           * @description The id of a source.
           * @example src_00000000000000000000000000
           */
          sourceId: string;
        };
      };
    };
    responses: {
      /** @description Created. */
      201: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          /** @description The URL of the created resource. */
          Location?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Job'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-in-progress`: The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-available`: Not available in this deployment. `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getJobsId: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description The ETag of your copy. If it is current, the answer is a 304. */
        'If-None-Match'?: string;
      };
      path: {
        /**
         * @description The id of the job.
         * @example job_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description The version of the resource, for `If-Match` and `If-None-Match`. */
          ETag?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Job'];
        };
      };
      /** @description The resource still has the tag in `If-None-Match`. The answer has no body. */
      304: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  putJobsId: {
    parameters: {
      query?: never;
      header?: {
        /** @description The ETag of the resource. If it has changed since, the answer is a 412. */
        'If-Match'?: string;
      };
      path: {
        /**
         * @description The id of the job.
         * @example job_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        /**
         * @example {
         *       "name": "Documents and letters"
         *     }
         */
        'application/json': {
          /** @description 1 to 200 characters, without control characters. */
          name: string;
          /** @description Not supported yet. Omit it, or send null. */
          retention?: {
            /** @description Keep one restore point of each of this many days. */
            daily?: number;
            /** @description Keep one restore point of each of this many hours. */
            hourly?: number;
            /** @description Keep this many of the newest restore points. */
            keepLast?: number;
            /** @description Keep all restore points within this ISO 8601 duration. */
            keepWithin?: string;
            /** @description Keep one restore point of each of this many months. */
            monthly?: number;
            /** @description Keep one restore point of each of this many weeks. */
            weekly?: number;
            /** @description Keep one restore point of each of this many years. */
            yearly?: number;
          } | null;
          /** @description Not supported yet. Omit it, or send null. */
          schedule?: {
            /** @description Five cron fields. */
            cron: string;
            /** @description An IANA time zone. */
            timeZone: string;
          } | null;
          /**
           * @description The source of the job, unchanged. May be omitted.
           * @example src_00000000000000000000000000
           */
          sourceId?: string;
        };
      };
    };
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Job'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `conflict`: Another request changed the resource at the same time. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `precondition-failed`: The resource has changed. */
      412: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-available`: Not available in this deployment. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  deleteJobsId: {
    parameters: {
      query?: never;
      header?: {
        /** @description The ETag of the resource. If it has changed since, the answer is a 412. */
        'If-Match'?: string;
      };
      path: {
        /**
         * @description The id of the job.
         * @example job_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Done. The answer has no body. */
      204: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `conflict`: Another request changed the resource at the same time. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `precondition-failed`: The resource has changed. */
      412: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postJobsIdRun: {
    parameters: {
      query?: never;
      header?: {
        /** @description For a day, repeats with the same key and input get the first answer. */
        'Idempotency-Key'?: string;
      };
      path: {
        /**
         * @description The id of the job.
         * @example job_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Accepted. The work continues in the background. */
      202: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['RequestedRun'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `run-open`: A run of this job is open. `idempotency-in-progress`: The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `source-unusable`: The source cannot be used as configured. `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postLiveTicket: {
    parameters: {
      query?: never;
      header?: {
        /** @description A repeated request has no second effect. Its answer holds new credentials. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Created. */
      201: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          /** @description The URL of the created resource. */
          Location?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['LiveTicket'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getMe: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description The ETag of your copy. If it is current, the answer is a 304. */
        'If-None-Match'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description The version of the resource, for `If-Match` and `If-None-Match`. */
          ETag?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Me'];
        };
      };
      /** @description The resource still has the tag in `If-None-Match`. The answer has no body. */
      304: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getRuns: {
    parameters: {
      query?: {
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /**
         * @description Only runs of this job.
         * @example job_00000000000000000000000000
         */
        jobId?: string;
        /** @description Only runs of this kind. */
        kind?: 'backup' | 'restore' | 'verify' | 'prune';
        /** @description The maximum number of items. Default: 50. A page of large items has fewer. */
        limit?: number;
        /** @description Only runs with this status. */
        status?: 'requested' | 'running' | 'paused' | 'succeeded' | 'partial' | 'failed' | 'cancelled';
      };
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /** @description One page. */
            items: components['schemas']['Run'][];
            /** @description The cursor of the next page. Null on the last page. */
            next: string | null;
          };
        };
      };
      /** @description `invalid-cursor`: The cursor is not valid. `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getRunsId: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description The ETag of your copy. If it is current, the answer is a 304. */
        'If-None-Match'?: string;
      };
      path: {
        /**
         * @description The id of the run.
         * @example run_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description The version of the resource, for `If-Match` and `If-None-Match`. */
          ETag?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Run'];
        };
      };
      /** @description The resource still has the tag in `If-None-Match`. The answer has no body. */
      304: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postRunsIdCancel: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description For a day, repeats with the same key and input get the first answer. */
        'Idempotency-Key'?: string;
      };
      path: {
        /**
         * @description The id of the run.
         * @example run_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Accepted. The work continues in the background. */
      202: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /**
             * @description The id of the run.
             * @example run_00000000000000000000000000
             */
            id: string;
            /**
             * @description Always `cancelling`. GET /runs/{id} shows the end.
             * @enum {string}
             */
            status: 'cancelling';
          };
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `run-over`: The run has ended. `idempotency-in-progress`: The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getRunsIdErrors: {
    parameters: {
      query?: {
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /** @description The maximum number of items. Default: 50. A page of large items has fewer. */
        limit?: number;
      };
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
      };
      path: {
        /**
         * @description The id of the run.
         * @example run_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /** @description One page. */
            items: components['schemas']['RunError'][];
            /** @description The cursor of the next page. Null on the last page. */
            next: string | null;
          };
        };
      };
      /** @description `invalid-cursor`: The cursor is not valid. `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postRunsIdPause: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description For a day, repeats with the same key and input get the first answer. */
        'Idempotency-Key'?: string;
      };
      path: {
        /**
         * @description The id of the run.
         * @example run_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Accepted. The work continues in the background. */
      202: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /**
             * @description The id of the run.
             * @example run_00000000000000000000000000
             */
            id: string;
            /**
             * @description Always `paused`.
             * @enum {string}
             */
            status: 'paused';
          };
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `run-over`: The run has ended. `idempotency-in-progress`: The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postRunsIdResume: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description For a day, repeats with the same key and input get the first answer. */
        'Idempotency-Key'?: string;
      };
      path: {
        /**
         * @description The id of the run.
         * @example run_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Accepted. The work continues in the background. */
      202: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /**
             * @description The id of the run.
             * @example run_00000000000000000000000000
             */
            id: string;
            /**
             * @description Always `running`.
             * @enum {string}
             */
            status: 'running';
          };
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `run-over`: The run has ended. `idempotency-in-progress`: The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postRunsIdRetry: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description For a day, repeats with the same key and input get the first answer. */
        'Idempotency-Key'?: string;
      };
      path: {
        /**
         * @description The id of the run.
         * @example run_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Accepted. The work continues in the background. */
      202: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['RequestedRun'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `run-open`: A run of this job is open. `nothing-to-retry`: The run has nothing to retry. `idempotency-in-progress`: The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `source-unusable`: The source cannot be used as configured. `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getSources: {
    parameters: {
      query?: {
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /** @description The maximum number of items. Default: 50. A page of large items has fewer. */
        limit?: number;
      };
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': {
            /** @description One page. */
            items: components['schemas']['Source'][];
            /** @description The cursor of the next page. Null on the last page. */
            next: string | null;
          };
        };
      };
      /** @description `invalid-cursor`: The cursor is not valid. `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  postSources: {
    parameters: {
      query?: never;
      header?: {
        /** @description For a day, repeats with the same key and input get the first answer. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json':
          | {
              /** @description The settings of the connector. */
              config: {
                /** @description Patterns to exclude, in .gitignore syntax: `*.tmp`, `node_modules/`, `/cache`, `!keep.tmp`. */
                exclude?: string[];
                /** @description The absolute path of the folder on the server. */
                path: string;
              };
              /** @description 1 to 200 characters, without control characters. */
              name: string;
              /**
               * @description The type of the source.
               * @enum {string}
               */
              type: 'folder';
            }
          | {
              /** @description The settings of the connector. */
              config: {
                /** @description The name of the bucket. */
                bucket: string;
                /**
                 * Format: uri
                 * @description The URL of an S3-compatible server. Default: AWS.
                 */
                endpoint?: string;
                /** @description Only objects whose keys start with this prefix. It usually ends in `/`. The backup omits it. */
                prefix?: string;
                /** @description The region of the bucket. Default: `us-east-1`. */
                region?: string;
              };
              /** @description No answer contains them. */
              credentials: {
                /** @description The id of an access key with the permissions s3:ListBucket and s3:GetObject. */
                accessKeyId: string;
                /** @description The secret of the access key. */
                secretAccessKey: string;
              };
              /** @description 1 to 200 characters, without control characters. */
              name: string;
              /**
               * @description The type of the source.
               * @enum {string}
               */
              type: 's3';
            };
      };
    };
    responses: {
      /** @description Created. */
      201: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          /** @description The URL of the created resource. */
          Location?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Source'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-in-progress`: The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-available`: Not available in this deployment. `source-unusable`: The source cannot be used as configured. `idempotency-mismatch`: The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  getSourcesId: {
    parameters: {
      query?: never;
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
        /** @description The ETag of your copy. If it is current, the answer is a 304. */
        'If-None-Match'?: string;
      };
      path: {
        /**
         * @description The id of the source.
         * @example src_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description The version of the resource, for `If-Match` and `If-None-Match`. */
          ETag?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Source'];
        };
      };
      /** @description The resource still has the tag in `If-None-Match`. The answer has no body. */
      304: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable`: Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  putSourcesId: {
    parameters: {
      query?: never;
      header?: {
        /** @description The ETag of the resource. If it has changed since, the answer is a 412. */
        'If-Match'?: string;
      };
      path: {
        /**
         * @description The id of the source.
         * @example src_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        /**
         * @example {
         *       "name": "Documents",
         *       "config": {
         *         "path": "/home/ada/Documents"
         *       }
         *     }
         */
        'application/json': {
          /** @description The settings of the connector. For `folder`: `path`, `exclude`. For `s3`: `bucket`, `prefix`, `region`, `endpoint`. */
          config: {
            [key: string]: unknown;
          };
          /** @description For `s3`: `accessKeyId`, `secretAccessKey`. Omit them to keep the stored ones. No answer contains them. */
          credentials?: {
            [key: string]: unknown;
          };
          /** @description 1 to 200 characters, without control characters. */
          name: string;
          /**
           * @description The type of the source, unchanged. May be omitted.
           * @enum {string}
           */
          type?: 'folder' | 's3';
        };
      };
    };
    responses: {
      /** @description OK. */
      200: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Source'];
        };
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `conflict`: Another request changed the resource at the same time. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `precondition-failed`: The resource has changed. */
      412: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-available`: Not available in this deployment. `source-unusable`: The source cannot be used as configured. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
  deleteSourcesId: {
    parameters: {
      query?: never;
      header?: {
        /** @description The ETag of the resource. If it has changed since, the answer is a 412. */
        'If-Match'?: string;
      };
      path: {
        /**
         * @description The id of the source.
         * @example src_00000000000000000000000000
         */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Done. The answer has no body. */
      204: {
        headers: {
          /** @description Names the write, if there was one. Send it with a read that has to include the write. */
          'Consistency-Token'?: string;
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `invalid-input`: The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated`: Sign in first. `invalid-token`: The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found`: Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `conflict`: Another request changed the resource at the same time. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `precondition-failed`: The resource has changed. */
      412: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large`: The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type`: The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited`: Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal`: An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full`: The storage is full. */
      507: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
    };
  };
}
