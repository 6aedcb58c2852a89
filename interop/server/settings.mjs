// What the server and the test agree on, and the switches that the test may turn while the server runs.

export const JWT_API = 'https://api.jwt.example';
export const OPAQUE_API = 'https://api.opaque.example';

/** What the clients may ask for. */
export const SCOPES = ['read', 'write'];
/** A scope that the provider knows and allows to no client. */
export const FORBIDDEN_SCOPE = 'admin';

export const DPOP_ALGORITHMS = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'];

/** The client that has to send a nonce whatever the switch says. */
export const NONCE_CLIENT = 'dpop_nonce';

export const settings = {
  /** The token endpoint demands a nonce in every DPoP proof. */
  dpop_nonce_required: false,
  /** The seconds that a new token lives. */
  token_lifetime: 600,
};

/** Takes over what `changes` names; anything unknown is an error. */
export function change(changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (!Object.hasOwn(settings, name) || typeof value !== typeof settings[name]) {
      throw new TypeError(`no such setting, or not of its type: ${name}`);
    }
  }
  Object.assign(settings, changes);
}
