//! Writes `proto/shipments.rs`, for when `proto/shipments.proto` or the version of tonic has
//! changed:
//! `cargo run --manifest-path stacks/Cargo.toml --features generate --bin generate`.
//!
//! The protobuf compiler is protox, which is a crate: nobody needs to have `protoc`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile(["shipments.proto"], [&directory])?;
    tonic_prost_build::configure().out_dir(&directory).compile_fds(files)?;
    std::fs::rename(directory.join("stacks.shipments.v1.rs"), directory.join("shipments.rs"))?;
    Ok(())
}
