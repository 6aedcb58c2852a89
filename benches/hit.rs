//! What it costs to put the token on a request while it is fresh, on one thread: [`benches::hit::hit`].
//!
//! `cargo bench -p benches --bench hit`

fn main() {
    benches::hit::hit(benches::Scale::of_arguments()).print_alone();
}
