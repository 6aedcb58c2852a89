//! The hot path in instructions, if valgrind is there: [`benches::instructions::instructions`].
//!
//! `cargo bench -p benches --bench instructions`

fn main() {
    if !benches::child::answered() {
        benches::instructions::instructions(benches::Scale::of_arguments()).print_alone();
    }
}
