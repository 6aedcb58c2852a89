//! The numbers that make a private key, on their way from a text into `ring`.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::jose::jwk::without_leading_zeros;

/// A number that is wiped when it is dropped.
pub(super) type Secret = Zeroizing<Vec<u8>>;

/// A private key, whatever text it came from. Nothing of it is checked yet but its form.
pub(super) enum Material {
    P256(P256),
    Rsa(Rsa),
    Ed25519(Ed25519),
}

/// RFC 5915 §3, RFC 7518 §6.2.
pub(super) struct P256 {
    pub(super) d: Secret,
    /// The uncompressed point (SEC 1 §2.3.3).
    pub(super) point: Vec<u8>,
}

/// RFC 8017 A.1.2, RFC 7518 §6.3; big-endian, without leading zeros.
pub(super) struct Rsa {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
    pub(super) d: Secret,
    pub(super) p: Secret,
    pub(super) q: Secret,
    pub(super) dp: Secret,
    pub(super) dq: Secret,
    pub(super) qi: Secret,
}

/// RFC 8410 §7, RFC 8037 §2.
pub(super) struct Ed25519 {
    pub(super) seed: Secret,
    /// Files seldom have it; then it is computed.
    pub(super) public: Option<Vec<u8>>,
}

impl Rsa {
    pub(super) fn bits(&self) -> usize {
        let n = without_leading_zeros(&self.n);
        n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize)
    }
}

impl Material {
    /// HKDF-SHA-256 (RFC 5869) over the numbers that are the same whichever text the key came from. For RSA these are the
    /// primes, larger first: there is more than one `d` to a key, and some tools change the order of the primes.
    pub(super) fn derived(&self) -> Zeroizing<[u8; 32]> {
        let (kind, secret): (&[u8], Secret) = match self {
            Self::P256(key) => (b"P-256", key.d.clone()),
            Self::Ed25519(key) => (b"Ed25519", key.seed.clone()),
            Self::Rsa(key) => (b"RSA", primes(&key.p, &key.q)),
        };
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(b"auth-core 1 signing key"), &secret)
            .expand(kind, &mut *derived)
            .expect("HKDF-SHA-256 gives up to 8160 bytes");
        derived
    }
}

fn primes(p: &[u8], q: &[u8]) -> Secret {
    let (p, q) = (without_leading_zeros(p), without_leading_zeros(q));
    let (larger, smaller) = if (p.len(), p) >= (q.len(), q) { (p, q) } else { (q, p) };
    // Both at once, so that no growing leaves a copy behind.
    Zeroizing::new([larger, smaller].concat())
}
