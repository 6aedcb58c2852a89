//! Many origins, and many authenticators: [`benches::scale::scale`].
//!
//! `cargo bench -p benches --bench scale`

fn main() {
    if !benches::child::answered() {
        benches::scale::scale(benches::Scale::of_arguments()).print_alone();
    }
}
