//! What stands in a record's file: JSON, with the version and the key around the record.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::cell::{LedgerKey, Stored};
use crate::id::Version;

/// No record is as long as this; a file that is was not written by this crate.
pub(super) const LONGEST: u64 = 8 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Envelope {
    version: Version,
    key: String,
    /// `null` from the moment the subdirectory is made until the first write.
    record: Value,
}

/// The file that a new subdirectory begins with.
pub(super) fn empty(key: &LedgerKey) -> Vec<u8> {
    encode(&Envelope {
        version: Version::random(),
        key: key.as_str().to_owned(),
        record: Value::Null,
    })
}

/// The file for a record.
///
/// # Errors
///
/// In words, when the record could not be read again: it is not JSON, or null, or too long, or too deep.
pub(super) fn seal(version: Version, key: &LedgerKey, record: &[u8]) -> Result<Vec<u8>, String> {
    let record = serde_json::from_slice(record)
        .map_err(|_| "was given a record that is not JSON".to_owned())?;
    let file = encode(&Envelope { version, key: key.as_str().to_owned(), record });
    match open(key, &file) {
        Ok(Some(_)) if file.len() as u64 <= LONGEST => Ok(file),
        _ => Err("was given a record that could not be read again".to_owned()),
    }
}

/// What a file holds; `None` before the first write.
///
/// # Errors
///
/// In words, when it is damaged, or of another client.
pub(super) fn open(key: &LedgerKey, file: &[u8]) -> Result<Option<Stored>, String> {
    let envelope: Envelope = serde_json::from_slice(file).map_err(|error| {
        format!(
            "is damaged ({:?} at line {}, column {})",
            error.classify(),
            error.line(),
            error.column()
        )
    })?;
    if envelope.key != key.as_str() {
        return Err("is of another client: a directory was copied or renamed".to_owned());
    }
    if envelope.record.is_null() {
        return Ok(None);
    }
    Ok(Some(Stored { version: envelope.version, record: envelope.record.to_string().into_bytes() }))
}

fn encode(envelope: &Envelope) -> Vec<u8> {
    let mut file = serde_json::to_vec(envelope).expect("plain values and string keys only");
    file.push(b'\n');
    file
}
