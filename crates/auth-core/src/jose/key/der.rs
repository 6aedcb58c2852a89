//! The numbers of a private key, out of DER. `ring` reads the same structures but hands nothing out, and what is derived
//! from a key needs its numbers; `ring` checks them all the same, and that they belong together.

use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::error::KeyError;
use super::material::{Ed25519, Material, P256, Rsa, Secret};
use crate::jose::jwk::without_leading_zeros;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[0]` around what it tags.
const WRAPPED_0: u8 = 0xa0;
/// `[1]` around what it tags.
const WRAPPED_1: u8 = 0xa1;
/// `[1]` in the place of the tag.
const BARE_1: u8 = 0x81;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const CURVE_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Kinds of keys that no algorithm here signs with.
const OTHERS: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10], "a key for RSASSA-PSS alone"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1], "a DSA key"),
    (&[0x2b, 0x65, 0x6e], "an X25519 key, which does not sign"),
    (&[0x2b, 0x65, 0x6f], "an X448 key, which does not sign"),
    (&[0x2b, 0x65, 0x71], "an Ed448 key"),
    (&[0x2b, 0x81, 4, 0, 10], "an EC key on the curve secp256k1"),
    (&[0x2b, 0x81, 4, 0, 34], "an EC key on the curve P-384"),
    (&[0x2b, 0x81, 4, 0, 35], "an EC key on the curve P-521"),
];

/// A `PrivateKeyInfo` (RFC 5208 §5) or `OneAsymmetricKey` (RFC 5958 §2).
pub(super) fn pkcs8(algorithm: Algorithm, bytes: &[u8]) -> Result<Material, KeyError> {
    let info = read_pkcs8(bytes).ok_or_else(broken)?;
    match (info.kind, info.curve) {
        (RSA, _) => pkcs1(info.key),
        (EC, Some(CURVE_P256)) => {
            let (d, point) = ec_private_key(info.key).ok_or_else(broken)?;
            let point = point.ok_or_else(|| {
                KeyError::new(
                    "the EC key comes without its public half; add it: `openssl ec -in key.pem | openssl pkcs8 -topk8 \
                     -nocrypt -out key.pkcs8.pem`",
                )
            })?;
            Ok(Material::P256(P256 { d, point }))
        }
        (ED25519, _) => {
            let Reader(seed) = Reader(info.key).read_whole(OCTET_STRING).ok_or_else(broken)?;
            let public = info.public.map(<[u8]>::to_vec);
            Ok(Material::Ed25519(Ed25519 { seed: secret(seed), public }))
        }
        (EC, curve) => {
            let named = curve.map_or("an EC key with a curve of its own", |curve| {
                name(curve).unwrap_or("an EC key on a curve that has no algorithm here")
            });
            Err(algorithm.refuses(named, "make another key"))
        }
        (kind, _) => {
            let named = name(kind).unwrap_or("a key of a kind that has no algorithm here");
            Err(algorithm.refuses(named, "make another key"))
        }
    }
}

/// An `RSAPrivateKey` (RFC 8017 A.1.2).
pub(super) fn pkcs1(bytes: &[u8]) -> Result<Material, KeyError> {
    read_pkcs1(bytes).map(Material::Rsa).ok_or_else(|| {
        KeyError::new(
            "the RSA key cannot be read, or has more than two primes; check it: `openssl rsa -in key.pem -check -noout`",
        )
    })
}

struct Info<'a> {
    kind: &'a [u8],
    curve: Option<&'a [u8]>,
    key: &'a [u8],
    public: Option<&'a [u8]>,
}

fn read_pkcs8(bytes: &[u8]) -> Option<Info<'_>> {
    let mut info = Reader(bytes).read_whole(SEQUENCE)?;
    let version = info.read(INTEGER)?;
    let mut kind = Reader(info.read(SEQUENCE)?);
    let key = Info {
        kind: kind.read(OBJECT)?,
        curve: kind.read_if(OBJECT)?,
        key: info.read(OCTET_STRING)?,
        public: {
            // The attributes say nothing about how to sign.
            info.read_if(WRAPPED_0)?;
            // Early tools tagged the public key in another way (see `ring`'s documentation); the numbers are the same.
            match info.read_if(BARE_1)? {
                Some(bits) => Some(whole_bytes(bits)?),
                None => match info.read_if(WRAPPED_1)? {
                    Some(tagged) => Some(whole_bytes(Reader(tagged).read(BIT_STRING)?)?),
                    None => None,
                },
            }
        },
    };
    (matches!(version, [0] | [1]) && info.0.is_empty()).then_some(key)
}

/// An `ECPrivateKey` (RFC 5915 §3), and the public key if it is there.
fn ec_private_key(bytes: &[u8]) -> Option<(Secret, Option<Vec<u8>>)> {
    let mut key = Reader(bytes).read_whole(SEQUENCE)?;
    let version = key.read(INTEGER)?;
    let d = key.read(OCTET_STRING)?;
    let curve = match key.read_if(WRAPPED_0)? {
        Some(parameters) => Reader(parameters).read(OBJECT)?,
        None => CURVE_P256,
    };
    let point = match key.read_if(WRAPPED_1)? {
        Some(tagged) => Some(whole_bytes(Reader(tagged).read(BIT_STRING)?)?.to_vec()),
        None => None,
    };
    (version == [1] && curve == CURVE_P256).then(|| (secret(d), point))
}

fn read_pkcs1(bytes: &[u8]) -> Option<Rsa> {
    let mut key = Reader(bytes).read_whole(SEQUENCE)?;
    // Version 1 is for keys of more than two primes.
    if key.read(INTEGER)? != [0] {
        return None;
    }
    let mut number = || key.read(INTEGER).map(without_leading_zeros);
    let n = number()?.to_vec();
    let e = number()?.to_vec();
    let mut private = || number().map(secret);
    let (d, p, q) = (private()?, private()?, private()?);
    let (dp, dq, qi) = (private()?, private()?, private()?);
    key.0.is_empty().then_some(Rsa { n, e, d, p, q, dp, dq, qi })
}

fn secret(bytes: &[u8]) -> Secret {
    Zeroizing::new(bytes.to_vec())
}

/// A bit string that leaves no bits over.
fn whole_bytes(bits: &[u8]) -> Option<&[u8]> {
    bits.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes)
}

fn name(object: &[u8]) -> Option<&'static str> {
    OTHERS.iter().find(|(other, _)| *other == object).map(|(_, name)| *name)
}

fn broken() -> KeyError {
    KeyError::new(
        "the key cannot be read; check it: `openssl pkey -in key.pem -check -noout`, and write it anew: `openssl pkcs8 \
         -topk8 -nocrypt -in key.pem -out key.pkcs8.pem`",
    )
}

/// Values of DER (X.690 §8.1), one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (length, rest) = length(rest)?;
        let (value, rest) = rest.split_at_checked(length).filter(|_| *found == tag)?;
        self.0 = rest;
        Some(value)
    }

    /// What is between the first byte and the last.
    fn read_whole(mut self, tag: u8) -> Option<Self> {
        let value = self.read(tag)?;
        self.0.is_empty().then_some(Self(value))
    }

    /// The outer `None` is for a value of that tag that is broken.
    #[expect(clippy::option_option, reason = "an absent value is not a broken one")]
    fn read_if(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.read(tag).map(Some) } else { Some(None) }
    }
}

/// Keys are shorter than 64 KiB.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [short @ 0..=0x7f, rest @ ..] => Some((usize::from(*short), rest)),
        [0x81, length @ 0x80..=0xff, rest @ ..] => Some((usize::from(*length), rest)),
        [0x82, high @ 1..=0xff, low, rest @ ..] => {
            Some((usize::from(u16::from_be_bytes([*high, *low])), rest))
        }
        _ => None,
    }
}
