// An OpenID provider, a protected resource and a control server on loopback, for a test to talk to. Prints one line of JSON
// when all of them listen, and exits when its stdin closes. README.md says what is in that line.

import './quiet.mjs';

import * as http from 'node:http';
import * as https from 'node:https';

import { Api } from './api.mjs';
import { certificateAuthority } from './certificates.mjs';
import { makeClients } from './clients.mjs';
import { controlHandler } from './control.mjs';
import { Counts } from './counts.mjs';
import { makeProvider } from './provider.mjs';
import { FORBIDDEN_SCOPE, JWT_API, OPAQUE_API, SCOPES } from './settings.mjs';

const HOST = '127.0.0.1';
const API_PREFIX = '/api';

// First of all, so that nothing is left running if the test dies while the keys are made.
process.stdin.resume();
for (const over of ['end', 'close', 'error']) {
  process.stdin.on(over, () => process.exit(0));
}

const authority = await certificateAuthority();
const serverCertificate = await authority.server();
const clients = await makeClients(authority);

// The provider needs its URLs from the start, so the servers listen before they have anything to say.
const plain = http.createServer();
const mtls = https.createServer({
  cert: serverCertificate.certificatePem,
  key: serverCertificate.keyPem,
  ca: authority.pem,
  requestCert: true,
  // A self-signed certificate is let in here and judged by the provider (RFC 8705 §2.2).
  rejectUnauthorized: false,
});
const protectedResource = http.createServer();
const control = http.createServer();
const [issuer, mtlsUrl, apiOrigin, controlUrl] = await Promise.all(
  [plain, mtls, protectedResource, control].map(listen),
);

const { provider, verificationKeys } = makeProvider(issuer, mtlsUrl, clients.registered);
const counts = new Counts(clients.registered.map(({ client_id: id }) => id));
provider.use(counts.middleware('/token'));
const api = new Api(provider, verificationKeys, API_PREFIX);

const issue = provider.callback();
const protect = guarded((request, response) => api.handle(request, response));
plain.on('request', issue);
// A certificate-bound token needs the connection that shows the certificate, so the resource is here too.
mtls.on('request', (request, response) =>
  (api.handles(request) ? protect : issue)(request, response));
protectedResource.on('request', protect);
control.on('request', guarded(controlHandler(counts, api)));

process.stdout.write(`${JSON.stringify({
  issuer,
  token_endpoint: `${issuer}/token`,
  introspection_endpoint: `${issuer}/token/introspection`,
  revocation_endpoint: `${issuer}/token/revocation`,
  control: controlUrl,
  api: `${apiOrigin}${API_PREFIX}`,
  mtls: {
    url: mtlsUrl,
    token_endpoint: `${mtlsUrl}/token`,
    api: `${mtlsUrl}${API_PREFIX}`,
    ca_pem: authority.pem,
  },
  scopes: SCOPES,
  forbidden_scope: FORBIDDEN_SCOPE,
  resources: { jwt: JWT_API, opaque: OPAQUE_API },
  clients: clients.told,
})}\n`);

function listen(server) {
  const scheme = server instanceof https.Server ? 'https' : 'http';
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, HOST, () => resolve(`${scheme}://${HOST}:${server.address().port}`));
  });
}

/** A handler whose failure is an answer and a line on stderr, not the end of the process. */
function guarded(handler) {
  return async (request, response) => {
    try {
      await handler(request, response);
    } catch (error) {
      console.error(error);
      response.writeHead(500).end();
    }
  };
}
