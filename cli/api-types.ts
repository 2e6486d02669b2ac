/** Made from docs/openapi.json by `npm run openapi`: do not edit. */
export interface paths {
  '/activity': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** What happened, by whom, in order */
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
    /** Everything at a glance */
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
     * @description After ten wrong passwords within a quarter of an hour from one address: 429 until it is over.
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
    /** End a session, all of its tokens included */
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
     * Exchange a refresh token for a new pair
     * @description A refresh token is used up by this. If an old one comes back the session ends.
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
     * Sign up
     * @description Opens an account with its first user. 202 where an e-mail must be confirmed first.
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
     * Get a file back, or a zip of many
     * @description With `fileId`: an address that needs no other credential, lives 15 minutes and answers ranges. With `sourceId` and `paths`: a zip is prepared, which GET /data/downloads/{id} gives the address of. Its entries have their whole paths, times, permissions and links. What would not unpack where it should (empty parts, `.`, `..`, drives, backslashes, control characters, bytes that are not UTF-8) is written as `%XX`.
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
     * Look whether a zip is ready, and get its address
     * @description The zip is kept for less than a day, each address lives at most 15 minutes: ask again for another.
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
     * Browse what was backed up
     * @description A folder at a time, or all below it with `recursive=true`; now or as of a time.
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
     * List the versions of a file, newest first
     * @description Also of one that is gone from the source: that is a version too, `deleted` and without content.
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
     * Search the newest backups
     * @description Goes through the newest good backup of each source. A page is a bounded piece of work: it may hold fewer items than asked for, even none, and still have a `next`; go on until that is null. `limit` and `cursor` are in the address, as for every list.
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
     * @description Needs no other credential than the token. Answers byte ranges. Where answers are limited in size, a 307 redirects to the content in the bucket.
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
    /** Whether the service is ready */
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
    /** List jobs */
    get: operations['getJobs'];
    put?: never;
    /** Create a job */
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
    /** Look at a job */
    get: operations['getJobsId'];
    /**
     * Change a job
     * @description The source stays: create another job for another source.
     */
    put: operations['putJobsId'];
    post?: never;
    /**
     * Delete a job
     * @description It runs no more. Its backups stay, under their source.
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
    /** Run a job now */
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
     * @description A WebSocket at that address tells what happens in the account. The address is good for one socket, within 60 s.
     *
     *     Messages are JSON, `{seq, type, at, data}`:
     *     - `activity`: one an event, `data` as an item of `GET /activity`; `seq` is the ledger's number.
     *     - `run.progress`, `run.finished`: `data` is the run, as `GET /runs/{id}` gave it at that moment. They follow the event's `activity`, with a `seq`
     *       between its and the next. Counts never go back; `run.finished` comes once, last of its run, with the final ones.
     *
     *     `seq` grows with every message and need not be a whole number. A socket begins with what happens from now on; with `&since=` and the `seq` of the last message you got, it goes on
     *     behind that one, nothing missing and nothing twice (0: from the beginning). Sockets end: after 2 hours, after 10 minutes without a
     *     message, when the session ends, when you read too slowly. Ask for a new address and go on. What you send is ignored.
     *     A message has at most 128 KB: what is larger goes without the last of a run's `errors`, or with `data.data` null.
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
    /** Who is signed in */
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
    /** List runs, newest first */
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
    /** Look at a run */
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
     * Call a run off
     * @description It ends within one step. What the job backed up before stays as it is.
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
    /** Every failed or skipped file of a run */
    get: operations['getRunsIdErrors'];
    put?: never;
    post?: never;
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
    /** List sources */
    get: operations['getSources'];
    put?: never;
    /** Connect a source */
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
    /** Look at a source */
    get: operations['getSourcesId'];
    /**
     * Change a source, or give it new credentials
     * @description Without `credentials` the stored ones stay. The type cannot change.
     */
    put: operations['putSourcesId'];
    post?: never;
    /**
     * Disconnect a source
     * @description Its credentials are destroyed and its jobs run no more. What was backed up stays.
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
    Activity: {
      actor: {
        id: string;
        /** @enum {string} */
        type: 'user' | 'api-key' | 'system';
      };
      /** Format: date-time */
      at: string;
      data: {
        [key: string]: unknown;
      };
      /** @description Of the commit, chained to the one before in its stream. */
      hash: string;
      id: string;
      /** @description The event's place in its commit. */
      index: number;
      /** @description The ledger's number of the commit: gapless, from 1. */
      seq: number;
      stream: string;
      /** @example run.requested.v1 */
      type: string;
      version: number;
    };
    Download: {
      /** Format: date-time */
      expiresAt: string;
      sha256: string;
      size: number;
      /** Format: uri */
      url: string;
    };
    File: {
      id: string;
      jobId: string;
      /** @enum {string} */
      kind: 'file' | 'folder' | 'link';
      mimeType: string | null;
      modifiedAt: string | null;
      name: string;
      path: string;
      /** @description base64, only where the name is not UTF-8. */
      pathBytes?: string;
      runId: string;
      sha256: string | null;
      size: number;
      sourceId: string;
      versions: number;
    };
    FileVersion: {
      at: string;
      deleted: boolean;
      /** @description The run that backed it up, or found it gone. */
      runId: string;
      sha256: string | null;
      size: number;
      version: number;
    };
    Job: {
      /** Format: date-time */
      createdAt: string;
      id: string;
      name: string;
      retention: null;
      schedule: null;
      sourceId: string;
      /** @description `active`. */
      status: string;
    };
    LiveTicket: {
      /** Format: date-time */
      expiresAt: string;
      /** Format: uri */
      url: string;
    };
    Me: {
      account: {
        id: string;
        name: string;
        role: string;
      };
      user: {
        email: string;
        id: string;
        name: string;
      };
    };
    Overview: {
      /** @description Bytes of those files. */
      bytesProtected: number;
      /** @description Bytes put to blobs, ever. */
      bytesStored: number;
      /** @description US dollars, of all runs. */
      cost: number;
      /** @description Files in the newest good backups. */
      files: number;
      jobs: number;
      lastRunAt: string | null;
      runs: {
        failed: number;
        partial: number;
        succeeded: number;
        total: number;
      };
      sources: number;
    };
    /** @description An error, as RFC 9457 problem details. Some codes add members. */
    Problem: {
      /**
       * @description Stable. Programs decide by it.
       * @example not-found
       */
      code: string;
      /**
       * @description What happened, then what to do.
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
    Registration: {
      account: {
        id: string;
        name: string;
        role: string;
      };
      user: {
        email: string;
        id: string;
        name: string;
      };
    };
    RequestedRun: {
      id: string;
      jobId: string;
      /** @constant */
      status: 'requested';
    };
    Run: {
      cost: {
        requests: number;
        usd: number;
      };
      /** @description The first 100 files that failed or were skipped; an empty path is about the whole run. */
      errors: components['schemas']['RunError'][];
      finishedAt: string | null;
      id: string;
      jobId: string;
      progress: {
        /** @description Bytes read from the source. */
        bytesRead: number;
        /** @description Bytes put to blobs by this run, after deduplication and compression. */
        bytesStored: number;
        filesDeleted: number;
        filesDone: number;
        filesFailed: number;
        filesSkipped: number;
        filesTotal: number;
        filesUnchanged: number;
        /** @description null until the run is planned. */
        percent: number | null;
      };
      /** Format: date-time */
      requestedAt: string;
      sourceId: string;
      startedAt: string | null;
      /** @enum {string} */
      status: 'requested' | 'running' | 'paused' | 'succeeded' | 'partial' | 'failed' | 'cancelled';
    };
    RunError: {
      code: string;
      message: string;
      path: string;
    };
    Source: {
      config: {
        [key: string]: unknown;
      };
      /** Format: date-time */
      createdAt: string;
      id: string;
      name: string;
      /** @description `connected`. */
      status: string;
      type: string;
    };
    Tokens: {
      accessToken: string;
      /** @description Seconds until the access token expires. */
      expiresIn: number;
      refreshToken: string;
      /** @constant */
      tokenType: 'Bearer';
    };
    ZipDownload: {
      /** @description Why it failed, and what to do. */
      error?: {
        code: string;
        message: string;
      };
      /** Format: date-time */
      expiresAt?: string;
      /** @enum {string} */
      status: 'preparing' | 'ready' | 'failed';
      /**
       * Format: uri
       * @description Once it is ready.
       */
      url?: string;
    };
    ZipRequested: {
      id: string;
      /** @enum {string} */
      status: 'preparing' | 'ready' | 'failed';
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
        /** @description The id of an actor. */
        actor?: string;
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /** @description Inclusive. */
        from?: string;
        /** @description The maximum number of items. Default: 50. */
        limit?: number;
        order?: 'asc' | 'desc';
        /** @description Exclusive. */
        to?: string;
        /** @description With or without its version. */
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
      /** @description `invalid-cursor` The cursor is not valid. `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
        /** @description Repeats do nothing twice. They get a new answer, because it holds credentials. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': {
          email: string;
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `invalid-credentials` E-mail or password is wrong. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `email-unconfirmed` Confirm the e-mail address first. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
        /** @description Repeats do nothing twice. They get a new answer, because it holds credentials. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': {
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
        /** @description Repeats do nothing twice. They get a new answer, because it holds credentials. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': {
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
        'application/json': {
          /** Format: email */
          email: string;
          /** @description 1 to 200 characters, without control characters. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `email-taken` The e-mail address is taken. `idempotency-in-progress` The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `weak-password` The password is too weak. `idempotency-mismatch` The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
        /** @description Repeats do nothing twice. They get a new answer, because it holds credentials. */
        'Idempotency-Key'?: string;
      };
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json':
          | {
              fileId: string;
              /** @description Default: the newest that has content, also of a file that is gone from the source. */
              version?: number;
            }
          | {
              /**
               * Format: date-time
               * @description From the newest good backup not after this time.
               */
              asOf?: string;
              /** @description Files, and folders with all that is below them. An empty path is the whole source. */
              paths: string[];
              /**
               * @description The id of a source.
               * @example src_00000000000000000000000000
               */
              sourceId: string;
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
          'application/json': components['schemas']['ZipRequested'];
        };
      };
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch` The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
          'application/json': components['schemas']['ZipDownload'];
        };
      };
      /** @description The resource still has the tag in `If-None-Match`. The answer has no body. */
      304: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `gone` No longer available. */
      410: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
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
        /** @description The newest good backup not after this time. */
        asOf?: string;
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /**
         * @description Else the newest good run's of any job of the source.
         * @example job_00000000000000000000000000
         */
        jobId?: string;
        /** @description The maximum number of items. Default: 50. */
        limit?: number;
        /** @description A folder, or one file. Default: the root. */
        path?: string;
        recursive?: 'true' | 'false';
        /**
         * @description The id of a source.
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
      /** @description `invalid-cursor` The cursor is not valid. `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
        /** @description The maximum number of items. Default: 50. */
        limit?: number;
      };
      header?: {
        /** @description The token of an earlier write. The answer includes that write. */
        'Consistency-Token'?: string;
      };
      path: {
        /** @description The id of a file. */
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
      /** @description `invalid-cursor` The cursor is not valid. `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
        /** @description The maximum number of items. Default: 50. */
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
        'application/json': {
          /** @description Bytes, inclusive. */
          maxSize?: number;
          /** @description Bytes, inclusive. With either of the two, only files are found. */
          minSize?: number;
          /**
           * Format: date-time
           * @description Inclusive. With either of the two, what has no time is left out.
           */
          modifiedAfter?: string;
          /**
           * Format: date-time
           * @description Exclusive.
           */
          modifiedBefore?: string;
          /** @description Words that all occur in the path, each anywhere in it; neither case nor accents count. Empty: whatever passes the filters. */
          query: string;
          /**
           * @description The id of a source.
           * @example src_00000000000000000000000000
           */
          sourceId?: string;
          /** @description One of them has to fit. Each is a MIME type (`image/png`), a group of them (`image/*` or `image`), how the name ends (`pdf` or `.pdf`, `tar.gz`), or a kind (`file`, `folder`, `link`). */
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
      /** @description `invalid-cursor` The cursor is not valid. `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-in-progress` The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch` The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `gone` No longer available. */
      410: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `range-not-satisfiable` The range is outside the file. */
      416: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
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
            /** @enum {string} */
            status: 'ok';
            version: string;
          };
        };
      };
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
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
        /** @description The maximum number of items. Default: 50. */
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
      /** @description `invalid-cursor` The cursor is not valid. `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
        'application/json': {
          /** @description 1 to 200 characters, without control characters. */
          name: string;
          retention?: {
            daily?: number;
            hourly?: number;
            keepLast?: number;
            keepWithin?: string;
            monthly?: number;
            weekly?: number;
            yearly?: number;
          } | null;
          schedule?: {
            cron: string;
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-in-progress` The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-available` Not available in this deployment. `idempotency-mismatch` The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
        'application/json': {
          /** @description 1 to 200 characters, without control characters. */
          name: string;
          retention?: {
            daily?: number;
            hourly?: number;
            keepLast?: number;
            keepWithin?: string;
            monthly?: number;
            weekly?: number;
            yearly?: number;
          } | null;
          schedule?: {
            cron: string;
            timeZone: string;
          } | null;
          /**
           * @description The id of a source.
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `conflict` Another request changed the resource at the same time. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `precondition-failed` The resource has changed. */
      412: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-available` Not available in this deployment. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `conflict` Another request changed the resource at the same time. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `precondition-failed` The resource has changed. */
      412: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `run-open` A run of this job is open. `idempotency-in-progress` The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `source-unusable` The source cannot be used as configured. `idempotency-mismatch` The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
        /** @description Repeats do nothing twice. They get a new answer, because it holds credentials. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch` The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
         * @description The id of a job.
         * @example job_00000000000000000000000000
         */
        jobId?: string;
        /** @description The maximum number of items. Default: 50. */
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
            items: components['schemas']['Run'][];
            /** @description The cursor of the next page. Null on the last page. */
            next: string | null;
          };
        };
      };
      /** @description `invalid-cursor` The cursor is not valid. `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
            id: string;
            /** @enum {string} */
            status: 'cancelling';
          };
        };
      };
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `run-over` The run has ended. `idempotency-in-progress` The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-mismatch` The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
        /** @description The maximum number of items. Default: 50. */
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
      /** @description `invalid-cursor` The cursor is not valid. `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
  getSources: {
    parameters: {
      query?: {
        /** @description The `next` of the previous page. Omit it for the first page. */
        cursor?: string;
        /** @description The maximum number of items. Default: 50. */
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
      /** @description `invalid-cursor` The cursor is not valid. `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
              config: {
                /** @description Patterns to exclude, in .gitignore syntax: `*.tmp`, `node_modules/`, `/cache`, `!keep.tmp`. */
                exclude?: string[];
                /** @description The absolute path of the folder, on the machine that runs ListBackup. */
                path: string;
              };
              /** @description 1 to 200 characters, without control characters. */
              name: string;
              /** @enum {string} */
              type: 'folder';
            }
          | {
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
              credentials: {
                /** @description The id of an access key with the permissions s3:ListBucket and s3:GetObject. */
                accessKeyId: string;
                /** @description The secret of the access key. */
                secretAccessKey: string;
              };
              /** @description 1 to 200 characters, without control characters. */
              name: string;
              /** @enum {string} */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `idempotency-in-progress` The same request is still in progress. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-available` Not available in this deployment. `source-unusable` The source cannot be used as configured. `idempotency-mismatch` The Idempotency-Key was used with other input. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unavailable` Temporarily unavailable. */
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
        'application/json': {
          /** @description By type: `folder {path, exclude?}`, `s3 {bucket, prefix?, region?, endpoint?}`. */
          config: {
            [key: string]: unknown;
          };
          /** @description By type: `s3 {accessKeyId, secretAccessKey}`. They never come back. */
          credentials?: {
            [key: string]: unknown;
          };
          /** @description 1 to 200 characters, without control characters. */
          name: string;
          /** @enum {string} */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `conflict` Another request changed the resource at the same time. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `precondition-failed` The resource has changed. */
      412: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-available` Not available in this deployment. `source-unusable` The source cannot be used as configured. */
      422: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
      /** @description `invalid-input` The request is not valid. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unauthenticated` Sign in first. `invalid-token` The token is not valid. */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `not-found` Not found. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `conflict` Another request changed the resource at the same time. */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `precondition-failed` The resource has changed. */
      412: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `payload-too-large` The request is too large. */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `unsupported-media-type` The media type is not supported. */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `rate-limited` Too many requests. */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `internal` An internal error occurred. */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/problem+json': components['schemas']['Problem'];
        };
      };
      /** @description `storage-full` The storage is full. */
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
