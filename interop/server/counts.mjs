// The token requests by client, as the server saw them.

import * as querystring from 'node:querystring';

import { decodeJwt } from 'jose';

/** Where a request counts that names no client. */
const NOBODY = '(none)';

export class Counts {
  #clients = new Map();

  constructor(ids) {
    ids.forEach((id) => this.#of(id));
  }

  /** Counts every POST to the token endpoint before the provider sees it, and notes what the provider answers. */
  middleware(tokenPath) {
    return async (ctx, next) => {
      if (ctx.method !== 'POST' || ctx.path !== tokenPath) {
        return next();
      }
      // The provider takes the body from here, since it cannot be read twice.
      ctx.req.body = await readBody(ctx.req);
      const counted = this.#of(clientId(ctx.headers, ctx.req.body));
      counted.requests += 1;
      try {
        await next();
      } finally {
        // Before the answer is sent, so that whoever has it finds it counted.
        const granted = ctx.status === 200;
        counted[granted ? 'granted' : 'refused'] += 1;
        counted.last_status = ctx.status;
        counted.last_error = granted ? null : ctx.body?.error ?? null;
      }
    };
  }

  toJSON() {
    return Object.fromEntries(this.#clients);
  }

  #of(id) {
    if (!this.#clients.has(id)) {
      this.#clients.set(id, {
        requests: 0, granted: 0, refused: 0, last_status: null, last_error: null,
      });
    }
    return this.#clients.get(id);
  }
}

async function readBody(request) {
  const chunks = [];
  try {
    for await (const chunk of request) {
      chunks.push(chunk);
    }
  } catch {
    // The client has gone away. Its request counts like any other, by as much of it as has arrived.
  }
  return Buffer.concat(chunks);
}

/** Who the request says it is from; nothing is verified here. */
function clientId(headers, body) {
  const basic = /^basic +(\S+)$/iu.exec(headers.authorization ?? '');
  if (basic) {
    const [id] = Buffer.from(basic[1], 'base64').toString('utf8').split(':', 1);
    return decoded(id) || NOBODY;
  }
  const parameters = parse(headers['content-type'] ?? '', body);
  return subject(parameters.client_assertion) ?? text(parameters.client_id) ?? NOBODY;
}

function decoded(id) {
  try {
    return decodeURIComponent(id.replaceAll('+', '%20'));
  } catch {
    return id;
  }
}

function parse(type, body) {
  try {
    return type.startsWith('application/json')
      ? JSON.parse(body) ?? {}
      : querystring.parse(body.toString());
  } catch {
    return {};
  }
}

function subject(assertion) {
  try {
    return text(decodeJwt(assertion).sub);
  } catch {
    return undefined;
  }
}

function text(value) {
  return typeof value === 'string' && value ? value : undefined;
}
