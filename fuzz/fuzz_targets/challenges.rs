//! `WWW-Authenticate` (RFC 9110 §11.6.1).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    auth_core::fuzzing::challenges(data);
});
