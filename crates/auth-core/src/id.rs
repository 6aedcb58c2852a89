//! Random 128-bit identities. They are never counters: a wiped store must not make a stale write or a stale refusal fit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! random_id {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name(u128);

        impl $name {
            /// A new one, from the operating system's randomness.
            ///
            /// # Panics
            ///
            /// When the operating system has no randomness to give.
            $vis fn random() -> Self {
                Self(u128::from_le_bytes(random_bytes()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:032x})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                u128::from_str_radix(text, 16).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(|_| de::Error::custom("expected 32 hexadecimal digits"))
            }
        }
    };
}

random_id! {
    /// The version of a stored record; a new one with every write.
    pub Version
}
random_id! {
    /// One token request under way, and the spend in the ledger that pays for it.
    pub(crate) FlightId
}
random_id! {
    /// One access token, across processes; inside a process a [`Generation`](crate::Generation) is enough.
    pub(crate) TokenId
}
random_id! {
    /// One boot of a machine.
    pub BootId
}

impl BootId {
    /// A boot id that the operating system reports as a UUID.
    #[cfg(target_os = "linux")]
    pub(crate) fn from_uuid(text: &str) -> Option<Self> {
        text.trim().replace('-', "").parse().ok()
    }

    /// A boot id that is the same every time, for clocks that are moved by hand.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) const fn fixed(id: u128) -> Self {
        Self(id)
    }
}

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}
