//! Other crates that fetch tokens, and ours, in one run: what a header costs, and how many token requests they spend.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`, with `hot` or `spent` one half of it. Prints Markdown.

mod clients;
mod hot;
mod issuer;
mod spent;

use std::sync::Arc;

fn main() {
    // Several peers are on rustls, and with more than one provider in the build none is chosen for them.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let runtime = Arc::new(runtime);
    let named = std::env::args().nth(1);
    let wanted = |name: &str| named.as_deref().is_none_or(|named| named == name);
    if wanted("hot") {
        let hot = hot::hot(&runtime);
        println!("{}", hot.markdown());
        for (name, value) in &hot.ratios {
            println!("ratio {name} {value:.3}");
        }
    }
    if wanted("spent") {
        println!("{}", several_workers().block_on(spent::spent()).markdown());
        println!("{}", spent::storms().markdown());
    }
}

/// More workers than cores, so that callers that start at once meet in every order.
fn several_workers() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(8).enable_all().build().expect("a runtime")
}
