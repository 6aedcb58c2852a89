//! What a server's layer costs for each request: [`benches::require_token::require_token`].
//!
//! `cargo bench -p benches --bench require_token`

fn main() {
    benches::require_token::require_token(benches::Scale::of_arguments()).print_alone();
}
