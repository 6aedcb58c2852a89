//! The same on several threads and in tasks, and with the header dropped on another thread:
//! [`benches::contended::contended`].
//!
//! `cargo bench -p benches --bench contended`

fn main() {
    benches::contended::contended(benches::Scale::of_arguments()).print_alone();
}
