//! Identifiers and secrets from the operating system's generator.

/// `BYTES` random bytes in lower-case hexadecimal.
///
/// # Errors
///
/// When the operating system has no randomness to give.
pub(crate) fn hex<const BYTES: usize>() -> Result<String, getrandom::Error> {
    Ok(bytes::<BYTES>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `BYTES` random bytes.
///
/// # Errors
///
/// As [`hex`].
pub(crate) fn bytes<const BYTES: usize>() -> Result<[u8; BYTES], getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
