//! An issuer's metadata (RFC 8414 §3.2).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    auth_core::fuzzing::metadata(data);
});
