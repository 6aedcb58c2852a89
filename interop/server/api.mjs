// A protected resource. It checks an access token as its scheme asks (RFC 6750, RFC 9449 §7, RFC 8705 §3) and answers what
// it saw. A path under `/nonce/` takes a DPoP proof only with the nonce of the day.

import { createHash, randomBytes } from 'node:crypto';

import { EmbeddedJWK, calculateJwkThumbprint, jwtVerify } from 'jose';

import { DPOP_ALGORITHMS, JWT_API } from './settings.mjs';

/** The seconds that a proof without a nonce may be off. */
const PROOF_WINDOW = 60;

export class Api {
  #provider;
  #verificationKeys;
  #prefix;
  #seen = new Set();
  #nonce = newNonce();

  constructor(provider, verificationKeys, prefix) {
    this.#provider = provider;
    this.#verificationKeys = verificationKeys;
    this.#prefix = prefix;
  }

  /** The nonce so far is no good any more. */
  rotateNonce() {
    this.#nonce = newNonce();
    return this.#nonce;
  }

  handles(request) {
    const path = pathOf(request);
    return path === this.#prefix || path.startsWith(`${this.#prefix}/`);
  }

  async handle(request, response) {
    try {
      reply(response, 200, {}, await this.#answer(request));
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) {
        throw refusal;
      }
      const headers = { 'WWW-Authenticate': refusal.challenge };
      if (refusal.error === 'use_dpop_nonce') {
        headers['DPoP-Nonce'] = this.#nonce;
      }
      const { error, message } = refusal;
      reply(response, 401, headers, { error, error_description: message });
    }
  }

  async #answer(request) {
    const authorization = request.headers.authorization ?? '';
    const [, scheme, value] = /^(Bearer|DPoP) +(\S+)$/iu.exec(authorization) ?? [];
    if (!scheme) {
      throw new Refusal('Bearer', undefined, 'no access token');
    }
    const canonical = scheme.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer';
    const token = await this.#token(value, canonical);
    if (canonical === 'DPoP') {
      await this.#checkProof(request, value, token);
    } else if (token.jkt) {
      throw new Refusal(
        canonical, 'invalid_token', 'the token is bound to a key, and comes without a proof',
      );
    }
    if (token.x5t && thumbprint(request.socket.getPeerX509Certificate?.()) !== token.x5t) {
      throw new Refusal(canonical, 'invalid_token', 'the token is bound to another certificate');
    }
    return { scheme: canonical, ...token, method: request.method, path: pathOf(request) };
  }

  async #token(value, scheme) {
    const found = value.split('.').length === 3
      ? await this.#jwt(value)
      : await this.#provider.ClientCredentials.find(value);
    if (!found || found.isExpired) {
      throw new Refusal(scheme, 'invalid_token', 'the token is unknown, expired or for another');
    }
    return {
      client_id: found.clientId,
      scope: found.scope ?? null,
      aud: found.aud ?? null,
      jkt: found.jkt ?? null,
      x5t: found['x5t#S256'] ?? null,
      format: found.format ?? 'opaque',
    };
  }

  async #jwt(value) {
    try {
      const { payload } = await jwtVerify(value, this.#verificationKeys, {
        issuer: this.#provider.issuer,
        audience: JWT_API,
        typ: 'at+jwt',
      });
      return { ...payload, ...payload.cnf, clientId: payload.client_id, format: 'jwt' };
    } catch {
      return undefined;
    }
  }

  /** RFC 9449 §4.3. The nonce comes late: a proof that is wrong anyway is not worth a second try. */
  async #checkProof(request, token, { jkt }) {
    const proof = request.headers.dpop;
    const refuse = (error, message) => {
      throw new Refusal('DPoP', error, message);
    };
    // Node joins the values of a header that is there more than once.
    if (!proof || proof.includes(',')) {
      refuse('invalid_dpop_proof', 'there must be one proof');
    }
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: DPOP_ALGORITHMS,
      requiredClaims: ['jti', 'htm', 'htu', 'iat', 'ath'],
    }).catch((error) => refuse('invalid_dpop_proof', error.message));

    if (payload.htm !== request.method) {
      refuse('invalid_dpop_proof', 'htm is not the method');
    }
    if (withoutQuery(payload.htu) !== withoutQuery(urlOf(request))) {
      refuse('invalid_dpop_proof', 'htu is not the URL');
    }
    if (payload.ath !== sha256(token)) {
      refuse('invalid_dpop_proof', 'ath is not the hash of the token');
    }
    if (await calculateJwkThumbprint(protectedHeader.jwk) !== jkt) {
      refuse('invalid_token', 'the token is bound to another key, or to none');
    }
    const nonceRequired = pathOf(request).startsWith(`${this.#prefix}/nonce/`);
    if ((nonceRequired || payload.nonce !== undefined) && payload.nonce !== this.#nonce) {
      refuse('use_dpop_nonce', 'the proof has no nonce, or an old one');
    }
    if (Math.abs(Date.now() / 1000 - payload.iat) > PROOF_WINDOW) {
      refuse('invalid_dpop_proof', 'iat is too far from now');
    }
    if (this.#seen.has(payload.jti)) {
      refuse('invalid_dpop_proof', 'the proof has been used');
    }
    this.#seen.add(payload.jti);
  }
}

class Refusal extends Error {
  constructor(scheme, error, message) {
    super(message);
    this.scheme = scheme;
    this.error = error;
  }

  get challenge() {
    const parameters = [];
    if (this.error) {
      const message = this.message.replaceAll('"', "'");
      parameters.push(`error="${this.error}"`, `error_description="${message}"`);
    }
    if (this.scheme === 'DPoP') {
      parameters.push(`algs="${DPOP_ALGORITHMS.join(' ')}"`);
    }
    return [this.scheme, parameters.join(', ')].join(' ').trim();
  }
}

export function reply(response, status, headers, body) {
  const common = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };
  response.writeHead(status, { ...common, ...headers });
  response.end(JSON.stringify(body));
}

function pathOf(request) {
  return request.url.split('?', 1)[0];
}

function urlOf(request) {
  return `${request.socket.encrypted ? 'https' : 'http'}://${request.headers.host}${request.url}`;
}

function withoutQuery(url) {
  const parsed = typeof url === 'string' ? URL.parse(url) : null;
  return parsed && `${parsed.origin}${parsed.pathname}`;
}

function thumbprint(certificate) {
  return certificate && createHash('sha256').update(certificate.raw).digest('base64url');
}

function sha256(text) {
  return createHash('sha256').update(text).digest('base64url');
}

function newNonce() {
  return randomBytes(16).toString('base64url');
}
