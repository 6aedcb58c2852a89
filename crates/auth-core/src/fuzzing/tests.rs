use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

type Target = fn(&[u8]) -> bool;

/// Inputs that are accepted, to grow others from.
const TOKEN_RESPONSES: &[&[u8]] = &[
    b"000\n\n\n\n{\"access_token\":\"abc\",\"token_type\":\"Bearer\",\"expires_in\":86400}",
    b"011\n\nnonce-1\n\n{\"access_token\":\"abc\",\"token_type\":\"DPoP\",\"expires_in\":\"3600\",\"scope\":\"read\"}",
    b"0240\nTue, 19 Jan 2027 08:00:00 GMT\n\n\"day\";r=3;t=60\n\
      {\"access_token\":\"eyJhbGciOiJub25lIn0.eyJleHAiOjE4MDAwODY0MDAsImlhdCI6MTgwMDAwMDAwMH0.\",\"token_type\":\"BEARER\"}",
];

const REFUSALS: &[&[u8]] = &[
    b"700120\n\n\n\n{\"error\":\"invalid_scope\",\"error_description\":\"no such scope\"}",
    b"811\n\nnonce-1\n\n{\"error\":\"use_dpop_nonce\"}",
    b"700\n\n\n\n{\"error\":\"nobody_knows\",\"error_description\":\"\\u001b[2Jsecret=kT9_canary-4bXq\\r\\n\\u202e\"}",
    b"=00Tue, 19 Jan 2027 08:00:00 GMT\nTue, 19 Jan 2027 07:00:00 GMT\n\n\"day\";r=0;t=3600\n{\"error\":\"too_many_requests\"}",
    b"400\n\n\n\n",
    b"082\n\n\n\n<html>",
];

const CLAIMS: &[&[u8]] = &[
    b"23600\n1800000000\n1800000000\nread write\n{\"alg\":\"RS256\"}\n\
      {\"aud\":[\"https://api.example\",\"b\"],\"azp\":\"id\",\"exp\":1800086400,\"iat\":1800000000,\"scope\":\"read\"}",
    b"41e30\n\n-5\n\n{\"alg\":\"none\"}\n{\"client_id\":\"other\",\"exp\":\"1\",\"iat\":2.5,\"scp\":[\"read\",\"write\"]}",
    b"6\n0\n\nadmin kT9_canary-4bXq\n{}\n{\"aud\":\"\\u001b[2J\\u202e\",\"exp\":9223372036854775807,\"iat\":-9223372036854775808}",
];

const HEADERS: &[&[u8]] = &[
    b"0120\n1Tue, 19 Jan 2027 08:00:00 GMT",
    b"0Fri, 31 Dec 9999 23:59:59 GMT\n6no-cache, max-age=7200",
    b"2\"day\";r=3, \"a,b;c\";r=0;t=30\n3\"day\";q=10;w=86400\n5nonce",
    b"2limit=100, remaining=50, reset=30\n6max-age=99999999999999999999",
    b"4b=per_hour;q=3;r=2;t=1800, b=now;r=1;t=0, b=per_day;q=10;r=7;t=99999999999999999999",
];

const CHALLENGES: &[&[u8]] = &[
    b"DPoP error=\"use_dpop_nonce\", algs=\"ES256 PS256\"\nBearer realm=a",
    b"Basic realm=\"simple\", Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\"",
    b"Negotiate oYGeMIGboAMKAQE+/w==, Bearer error = invalid_token,, x=\"\\\xff\"",
];

const METADATA: &[&[u8]] = &[
    b"0https://a.example/t\n{\"issuer\":\"https://a.example/t\",\"token_endpoint\":\"https://b.example/token\",\
      \"token_endpoint_auth_methods_supported\":[\"client_secret_basic\"],\"scopes_supported\":[\"a\\u001b\"],\
      \"protected_resources\":[\"https://api.example\"]}",
    b"1http://[::1]:8080\n{\"issuer\":\"http://[::1]:8080\",\"token_endpoint\":\"http://[::1]:8080/token\",\
      \"revocation_endpoint\":null,\"grant_types_supported\":[\"password\"],\
      \"mtls_endpoint_aliases\":{\"token_endpoint\":\"https://mtls.example/token\"}}",
];

/// What an input is changed by.
const PIECES: &[&[u8]] = &[
    b"\n",
    b"\"",
    b"\\",
    b"\\u001b",
    b"\\ud800",
    b"\xff",
    b"\x00",
    b"\r\n",
    "\u{202e}".as_bytes(),
    b",",
    b";",
    b"=",
    b".",
    b"{",
    b"}",
    b"[",
    b"null",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"inf",
    b"\"error\":",
    b"\"access_token\":\"\",",
    b"\"access_token\":\"abc\",",
    b"\"token_type\":\"Bearer\",",
    b"#",
    b"@",
    SECRET.as_bytes(),
];

/// Arbitrary bytes, and accepted inputs with a few places changed.
fn inputs(seeds: impl Into<Vec<&'static [u8]>>) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..4),
        select(PIECES).prop_map(<[u8]>::to_vec),
        (select(PIECES), 1..300_usize).prop_map(|(piece, times)| piece.repeat(times)),
    ];
    let edits = vec((any::<Index>(), 0..6_usize, piece), 0..5);
    let grown = (select(seeds.into()), edits).prop_map(|(seed, edits)| {
        let mut input = seed.to_vec();
        for (at, length, piece) in edits {
            let start = at.index(input.len() + 1);
            let end = input.len().min(start + length);
            input.splice(start..end, piece);
        }
        input
    });
    prop_oneof![1 => vec(any::<u8>(), 0..200), 4 => grown]
}

#[test]
fn what_the_inputs_grow_from_is_accepted() {
    let accepted =
        |target: fn(&[u8]) -> bool, seeds: &[&[u8]]| seeds.iter().all(|seed| target(seed));
    assert!(accepted(token_response, TOKEN_RESPONSES));
    assert!(REFUSALS.iter().all(|seed| !token_response(seed)));
    assert!(accepted(claims, CLAIMS));
    assert!(accepted(headers, HEADERS));
    assert!(accepted(challenges, CHALLENGES));
    assert!(accepted(metadata, METADATA));
}

/// What the fuzzers found worth keeping. It is not there where the crate stands alone.
#[test]
fn the_corpora_of_the_fuzzers_break_no_promise() {
    let targets: [(&str, Target); 5] = [
        ("token_response", token_response),
        ("claims", claims),
        ("headers", headers),
        ("challenges", challenges),
        ("metadata", metadata),
    ];
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    if !corpora.exists() {
        return;
    }
    for (name, target) in targets {
        let files = std::fs::read_dir(corpora.join(name)).unwrap();
        let inputs = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        let accepted = inputs.filter(|input| target(input)).count();
        assert!(accepted > 0, "nothing in the corpus of `{name}` is accepted");
    }
}

proptest! {
    // torture: B14, D26, D28, D36, E44
    #[test]
    fn any_token_response_keeps_the_promises(
        input in inputs([TOKEN_RESPONSES, REFUSALS].concat())
    ) {
        token_response(&input);
    }

    // torture: D31, D32
    #[test]
    fn any_claims_keep_the_promises(input in inputs(CLAIMS)) {
        claims(&input);
    }

    // torture: B14
    #[test]
    fn any_headers_keep_the_promises(input in inputs(HEADERS)) {
        headers(&input);
    }

    #[test]
    fn any_challenges_keep_the_promises(input in inputs(CHALLENGES)) {
        challenges(&input);
    }

    // torture: E41, E44
    #[test]
    fn any_metadata_keep_the_promises(input in inputs(METADATA)) {
        metadata(&input);
    }
}
