//! What a server may make of a path, written without regard to the code under test.

/// Decodes all that can be decoded, and leaves the rest.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let digits = path.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        let is_hex = |two: &&str| two.chars().all(|char| char.is_ascii_hexdigit());
        match digits.filter(is_hex) {
            Some(two) if path[at] == b'%' => {
                out.push(u8::from_str_radix(two, 16).unwrap());
                at += 3;
            }
            _ => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

/// RFC 3986 §5.2.4, to the letter.
pub(super) fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut input: String = path.iter().copied().map(char::from).collect();
    let mut output = String::new();
    while !input.is_empty() {
        if let Some(rest) = input.strip_prefix("../").or_else(|| input.strip_prefix("./")) {
            input = rest.to_owned();
        } else if input.starts_with("/./") || input == "/." {
            input = format!("/{}", input.get(3..).unwrap_or_default());
        } else if input.starts_with("/../") || input == "/.." {
            input = format!("/{}", input.get(4..).unwrap_or_default());
            output.truncate(output.rfind('/').unwrap_or(0));
        } else if input == "." || input == ".." {
            input.clear();
        } else {
            let end = input.char_indices().skip(1).find(|(_, char)| *char == '/');
            let rest = input.split_off(end.map_or(input.len(), |(at, _)| at));
            output.push_str(&input);
            input = rest;
        }
    }
    output.chars().map(|char| u8::try_from(char).unwrap()).collect()
}

fn merged(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|one, other| *one == b'/' && *other == b'/');
    out
}

fn with_slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let names = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap());
    names.collect::<Vec<_>>().join(&b'/')
}

/// As decoders do that accept an overlong encoding of UTF-8, here one of two octets.
fn with_overlong(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for byte in path {
        match (out.last_mut(), byte) {
            (Some(last @ (0xc0 | 0xc1)), 0x80..=0xbf) => *last = (*last & 1) << 6 | (byte & 0x3f),
            _ => out.push(*byte),
        }
    }
    out
}

fn until_nul(path: &[u8]) -> Vec<u8> {
    path.split(|byte| *byte == 0).next().unwrap().to_vec()
}

pub(super) fn is_below_v1(path: &[u8]) -> bool {
    path == b"/v1" || path.starts_with(b"/v1/")
}

type Step = fn(&[u8]) -> Vec<u8>;

/// Servers, each by the order in which it does things. None of these changes what is below `/v1` for a path that has one
/// meaning.
pub(super) const ALL: &[&[Step]] = &[
    &[decoded],
    &[decoded, without_dots, merged],
    &[decoded, merged, without_dots],
    &[without_dots, decoded, merged],
    &[merged, decoded, without_dots],
    &[decoded, with_slashes, until_nul, merged, without_dots],
    &[decoded, with_overlong, with_slashes, until_nul, merged, without_dots],
    &[decoded, decoded, with_overlong, merged, without_dots],
    &[decoded, decoded, without_dots, merged],
    &[without_dots, merged, decoded, decoded],
    &[decoded, without_dots, merged, decoded, without_dots, merged],
    &[decoded, with_slashes, decoded, with_slashes, merged, decoded, without_dots],
    &[decoded, decoded, decoded, decoded, with_slashes, until_nul, merged, without_dots],
];

/// Servers that cut parameters off: what is below `/v1` stays there.
pub(super) const CUTTING: &[&[Step]] = &[
    &[without_parameters, decoded, merged, without_dots],
    &[decoded, without_parameters, merged, without_dots],
    &[without_parameters, without_dots, decoded, without_parameters, without_dots, merged],
    &[decoded, decoded, without_parameters, without_dots, merged],
];

pub(super) fn read(path: &str, server: &[Step]) -> Vec<u8> {
    server.iter().fold(path.as_bytes().to_vec(), |path, step| step(&path))
}
