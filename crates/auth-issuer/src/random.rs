//! Identifiers and secrets from the operating system's generator.

/// `BYTES` random bytes in lower-case hexadecimal.
///
/// # Errors
///
/// When the operating system has no randomness to give.
pub(crate) fn hex<const BYTES: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
