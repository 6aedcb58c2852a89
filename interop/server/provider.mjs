// The provider: npm's oidc-provider, set up for the client credentials grant alone.

import { generateKeyPairSync, randomBytes } from 'node:crypto';

import { createLocalJWKSet } from 'jose';
import { Provider, errors } from 'oidc-provider';

import {
  DPOP_ALGORITHMS, FORBIDDEN_SCOPE, JWT_API, NONCE_CLIENT, OPAQUE_API, SCOPES, settings,
} from './settings.mjs';

const SIGNING = 'ES256';

/** Makes the provider; `verificationKeys` is what its JWT access tokens are verified with. */
export function makeProvider(issuer, mtlsUrl, clients) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const described = { kid: 'issuer-1', alg: SIGNING, use: 'sig' };

  const provider = new Provider(issuer, {
    clients,
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), ...described }] },
    scopes: [...SCOPES, FORBIDDEN_SCOPE],
    clientDefaults: {
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      id_token_signed_response_alg: SIGNING,
    },
    clientAuthMethods: [
      'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt',
      'tls_client_auth', 'self_signed_tls_client_auth',
    ],
    enabledJWA: { dPoPSigningAlgValues: DPOP_ALGORITHMS },
    ttl: { ClientCredentials: () => settings.token_lifetime },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    // RFC 8705 §5: the provider takes this part of its metadata as it stands.
    discovery: {
      mtls_endpoint_aliases: {
        token_endpoint: `${mtlsUrl}/token`,
        introspection_endpoint: `${mtlsUrl}/token/introspection`,
        revocation_endpoint: `${mtlsUrl}/token/revocation`,
      },
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: {
        enabled: true,
        allowedPolicy: (ctx, client, token) => token.clientId === client.clientId,
      },
      resourceIndicators: { enabled: true, getResourceServerInfo },
      dPoP: {
        enabled: true,
        nonceSecret: randomBytes(32),
        requireNonce: (ctx) =>
          settings.dpop_nonce_required || ctx.oidc.client?.clientId === NONCE_CLIENT,
      },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
        certificateAuthorized: (ctx) => ctx.socket.authorized === true,
        certificateSubjectMatches: (ctx, property, expected) =>
          property === 'tls_client_auth_subject_dn'
          && subjectDn(ctx.socket.getPeerX509Certificate()) === expected,
      },
    },
  });

  provider.on('server_error', (ctx, error) => console.error(error));
  const verificationKeys = createLocalJWKSet({
    keys: [{ ...publicKey.export({ format: 'jwk' }), ...described }],
  });
  return { provider, verificationKeys };
}

function getResourceServerInfo(ctx, resource) {
  const common = { scope: SCOPES.join(' '), audience: resource };
  switch (resource) {
    case JWT_API:
      return { ...common, accessTokenFormat: 'jwt', jwt: { sign: { alg: SIGNING } } };
    case OPAQUE_API:
      return { ...common, accessTokenFormat: 'opaque' };
    default:
      throw new errors.InvalidTarget();
  }
}

/** The subject as RFC 4514 §2.1 writes it: from the last name of the sequence to the first. */
function subjectDn(certificate) {
  return certificate.subject.split('\n').reverse().join(',');
}
