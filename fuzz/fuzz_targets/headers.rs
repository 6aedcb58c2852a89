//! What an answer's fields say of the clock, the quota and the next proof.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    auth_core::fuzzing::headers(data);
});
