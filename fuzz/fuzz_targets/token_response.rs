//! The answer of a token endpoint (RFC 6749 §5).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    auth_core::fuzzing::token_response(data);
});
