/** The one catalogue of errors: code → HTTP status and title. The API sends them as problem documents (RFC 9457). */

const catalogue = {
  'invalid-input': [400, 'The request is not valid'],
  'invalid-cursor': [400, 'The cursor is not valid'],
  unauthenticated: [401, 'Sign in first'],
  'invalid-credentials': [401, 'E-mail or password is wrong'],
  'invalid-token': [401, 'The token is not valid'],
  'email-unconfirmed': [403, 'Confirm the e-mail address first'],
  forbidden: [403, 'Not allowed'],
  'not-found': [404, 'Not found'],
  'method-not-allowed': [405, 'Method not allowed'],
  'email-taken': [409, 'The e-mail address is taken'],
  'run-open': [409, 'A run of this job is open'],
  'run-over': [409, 'The run has ended'],
  'nothing-to-retry': [409, 'The run has nothing to retry'],
  conflict: [409, 'Another request changed the resource at the same time'],
  'in-use': [409, 'The resource is in use'],
  'backup-damaged': [409, 'The restore point is damaged'],
  damaged: [409, 'The backup is damaged'],
  'idempotency-in-progress': [409, 'The same request is still in progress'],
  gone: [410, 'No longer available'],
  'precondition-failed': [412, 'The resource has changed'],
  'payload-too-large': [413, 'The request is too large'],
  'unsupported-media-type': [415, 'The media type is not supported'],
  'range-not-satisfiable': [416, 'The range is outside the file'],
  'misdirected-request': [421, 'The Host header does not name this server'],
  'not-available': [422, 'Not available in this deployment'],
  'source-unusable': [422, 'The source cannot be used as configured'],
  'weak-password': [422, 'The password is too weak'],
  'idempotency-mismatch': [422, 'The Idempotency-Key was used with other input'],
  'rate-limited': [429, 'Too many requests'],
  internal: [500, 'An internal error occurred'],
  'key-missing': [500, 'An encryption key is missing'],
  unavailable: [503, 'Temporarily unavailable'],
  'storage-full': [507, 'The storage is full'],
} as const;

export type ErrorCode = keyof typeof catalogue;
export type InputError = { path: string; message: string };

/**
 * An error that the caller can understand and act on. `detail` says what happened, then what to do. The API reports
 * every other thrown value as `internal`.
 */
export class Problem extends Error {
  readonly code: ErrorCode;
  readonly errors: InputError[] | undefined;
  /**
   * Additional members of the problem document, for example the id of the open run. `retryAfter` (seconds) and, on a
   * 416, `size` (bytes) also become headers.
   */
  readonly extra: { [key: string]: string | number };

  constructor(
    code: ErrorCode,
    detail: string,
    options: { errors?: InputError[]; extra?: { [key: string]: string | number } } = {},
  ) {
    super(detail);
    this.name = 'Problem';
    this.code = code;
    this.errors = options.errors;
    this.extra = options.extra ?? {};
  }

  get status(): number {
    return catalogue[this.code][0];
  }

  get title(): string {
    return catalogue[this.code][1];
  }
}
