//! Many callers without a token: [`benches::herd::herd`].
//!
//! `cargo bench -p benches --bench herd`

fn main() {
    if !benches::child::answered() {
        benches::herd::herd(benches::Scale::of_arguments()).print_alone();
    }
}
