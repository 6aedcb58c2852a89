//! What a token says of itself, its lifetime, and what is odd about it (RFC 7519 §4.1).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    auth_core::fuzzing::claims(data);
});
