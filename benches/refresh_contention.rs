//! What readers notice of renewals: [`benches::refresh::refresh_contention`].
//!
//! `cargo bench -p benches --bench refresh_contention`

fn main() {
    benches::refresh::refresh_contention(benches::Scale::of_arguments()).print_alone();
}
