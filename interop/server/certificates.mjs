// A certificate authority that lives as long as the process, the TLS server's certificate, and those of the clients.

import 'reflect-metadata';

import { KeyObject, randomBytes } from 'node:crypto';

import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR = 60 * 60 * 1000;
const { KeyUsageFlags: Usage, ExtendedKeyUsage } = x509;

/** The authority: `pem`, and `issue` for what it signs. */
export async function certificateAuthority() {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...common('CN=Interop CA'),
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(Usage.keyCertSign | Usage.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });

  async function issue(subject, usage, names = []) {
    const own = await newKeys();
    const issued = await x509.X509CertificateGenerator.create({
      ...common(subject),
      issuer: certificate.subjectName,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      extensions: [
        ...await endEntity(own, usage, names),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return material(issued, own);
  }

  return {
    pem: certificate.toString('pem'),
    server: () => issue('CN=localhost', ExtendedKeyUsage.serverAuth, [
      { type: 'ip', value: '127.0.0.1' },
      { type: 'ip', value: '::1' },
      { type: 'dns', value: 'localhost' },
    ]),
    client: (subject) => issue(subject, ExtendedKeyUsage.clientAuth),
  };
}

/** A client certificate that no authority has signed (RFC 8705 §2.2). */
export async function selfSignedClient(subject) {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...common(subject),
    keys,
    extensions: await endEntity(keys, ExtendedKeyUsage.clientAuth, []),
  });
  return material(certificate, keys);
}

function newKeys() {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function common(subject) {
  // The top bit is off and the next one on: a serial number is positive and has no leading zero.
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x7f) | 0x40;
  return {
    serialNumber: serial.toString('hex'),
    // The name of the authority or of whom the certificate is for; `create` takes it as `subject`.
    name: subject,
    subject,
    notBefore: new Date(Date.now() - HOUR),
    notAfter: new Date(Date.now() + 24 * HOUR),
    signingAlgorithm: ALGORITHM,
  };
}

async function endEntity(keys, usage, names) {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(Usage.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([usage]),
    await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ...(names.length ? [new x509.SubjectAlternativeNameExtension(names)] : []),
  ];
}

function material(certificate, keys) {
  const key = KeyObject.from(keys.privateKey);
  return {
    certificatePem: certificate.toString('pem'),
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }),
    // As a JWK set has it: the key, and the certificate in base64 (RFC 7517 §4.7).
    jwk: {
      ...KeyObject.from(keys.publicKey).export({ format: 'jwk' }),
      x5c: [Buffer.from(certificate.rawData).toString('base64')],
    },
  };
}
