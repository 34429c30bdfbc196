/**
 * Logging in once more with what was accepted before. It is offered one time: a server that does not take it
 * again means that it was good for one time, and a second try could look like guessing.
 */
import type { AnyAuthMethod, AuthHandlerMiddleware } from 'ssh2';
import type { Login } from './authentication.js';
import { ConnectError } from './errors.js';

export class Replay implements Login {
  readonly #proof: AnyAuthMethod;

  constructor(proof: AnyAuthMethod) {
    this.#proof = proof;
  }

  handler(giveUp: (error: unknown) => void): AuthHandlerMiddleware {
    let offered = false;
    return (_accepted, _partial, next) => {
      if (offered) {
        giveUp(
          new ConnectError('authentication', 'the server does not accept a second time what it accepted'),
        );
      } else {
        offered = true;
        next(this.#proof);
      }
    };
  }
}
