// The clients: how each shows who it is, what the provider is told about it, and what the test is told.

import { generateKeyPair, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

import { selfSignedClient } from './certificates.mjs';
import { NONCE_CLIENT, SCOPES } from './settings.mjs';

const generate = promisify(generateKeyPair);

/** Makes all clients: `registered` is for the provider, `told` for the ready line, by the client's name. */
export async function makeClients(authority) {
  const registered = [];
  const told = {};

  function add(name, method, metadata, credentials, id = name) {
    registered.push({
      client_id: id,
      token_endpoint_auth_method: method,
      scope: SCOPES.join(' '),
      ...metadata,
    });
    told[name] = { client_id: id, auth_method: method, ...credentials };
  }

  function withSecret(name, method, metadata = {}, { id = name, secret = random() } = {}) {
    add(name, method, { client_secret: secret, ...metadata }, { client_secret: secret }, id);
  }

  async function withKey(name, alg, kind, options) {
    const { publicKey, privateKey } = await generate(kind, options);
    const kid = `${name}-1`;
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' };
    add(name, 'private_key_jwt', { token_endpoint_auth_signing_alg: alg, jwks: { keys: [jwk] } }, {
      alg,
      kid,
      private_key_pem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    });
  }

  function withCertificate(name, method, metadata, { certificatePem, keyPem }) {
    add(name, method, metadata, { certificate_pem: certificatePem, private_key_pem: keyPem });
  }

  // Every character of a secret that means something in a form, in a header or in percent-encoding. Only visible ASCII and
  // the space: RFC 6749 appendix A.2 has no others.
  withSecret('basic', 'client_secret_basic', {}, { secret: `${random()} +%:&=/?#"\\~%20` });
  withSecret('basic_odd_id', 'client_secret_basic', {}, { id: 'odd id:+%20&=', secret: random() });
  withSecret('post', 'client_secret_post', {}, { secret: `${random()} +%:&=/?#"\\~%20` });
  withSecret('secret_jwt', 'client_secret_jwt', { token_endpoint_auth_signing_alg: 'HS256' });
  told.secret_jwt.alg = 'HS256';

  await Promise.all([
    withKey('key_jwt_es256', 'ES256', 'ec', { namedCurve: 'P-256' }),
    withKey('key_jwt_rs256', 'RS256', 'rsa', { modulusLength: 2048 }),
    withKey('key_jwt_ps256', 'PS256', 'rsa', { modulusLength: 2048 }),
    withKey('key_jwt_eddsa', 'EdDSA', 'ed25519', {}),
  ]);

  withSecret('dpop', 'client_secret_basic', { dpop_bound_access_tokens: true });
  withSecret(NONCE_CLIENT, 'client_secret_basic', { dpop_bound_access_tokens: true });

  for (const [name, bound] of [['tls', false], ['tls_bound', true]]) {
    // In the order of RFC 4514, the most specific first; the certificate has them the other way round.
    const subject = `CN=${name},O=Interop`;
    withCertificate(name, 'tls_client_auth', {
      tls_client_auth_subject_dn: subject,
      tls_client_certificate_bound_access_tokens: bound,
    }, await authority.client(`O=Interop, CN=${name}`));
    told[name].subject_dn = subject;
  }
  const selfSigned = await selfSignedClient('CN=tls_self_signed');
  withCertificate(
    'tls_self_signed',
    'self_signed_tls_client_auth',
    { jwks: { keys: [selfSigned.jwk] } },
    selfSigned,
  );

  return { registered, told };
}

function random() {
  return randomBytes(32).toString('base64url');
}
