/**
 * The three ways an SFTP call fails: the server said no, the connection is gone, or the bytes make no
 * sense. What a refusal means as an errno is decided in `explain.ts`.
 */

/**
 * A STATUS other than SSH_FX_OK. Missing files are everyday answers, so it is made without a stack: the
 * trace would only name the packet parser, and would cost more than the request.
 */
export class SftpStatusError extends Error {
  /** An SSH_FX_* code. */
  readonly code: number;
  /** The server's own words, as they came; for logs only. */
  readonly serverMessage: string;

  constructor(code: number, serverMessage: string) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(`the server answered status ${code}${serverMessage === '' ? '' : ` (${serverMessage})`}`);
    Error.stackTraceLimit = limit;
    this.name = 'SftpStatusError';
    this.code = code;
    this.serverMessage = serverMessage;
  }
}

/** How a connection ended: by itself, by nonsense of the server, or because we gave up waiting for an answer. */
export type LossKind = 'ended' | 'protocol' | 'unanswered';

/** The connection ended; `cause` is the error of the stream or the `ProtocolError`, where there was one. */
export class ConnectionLostError extends Error {
  readonly kind: LossKind;

  constructor(message: string, options: ErrorOptions & { readonly kind?: LossKind } = {}) {
    super(message, options);
    this.name = 'ConnectionLostError';
    this.kind = options.kind ?? 'ended';
  }
}

/** The peer broke the protocol. It ends the connection that carried it. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtocolError';
  }
}
