//! What the documents show in other languages than Rust.

use anyhow::{Result, ensure};
use auth_issuer::Script;

#[test]
fn the_script_in_the_documents_is_one() -> Result<()> {
    let page = include_str!("../../../docs/testing.md");
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let scripts: Vec<&str> = blocks.filter(|block| block.contains("[[fault]]")).collect();
    ensure!(!scripts.is_empty());
    for script in scripts {
        let _ = Script::from_toml(script)?;
    }
    Ok(())
}
