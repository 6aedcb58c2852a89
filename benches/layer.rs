//! What the layer and the middleware cost: [`benches::layer::layer`] around nothing, and
//! [`benches::end_to_end::end_to_end`] over loopback.
//!
//! `cargo bench -p benches --bench layer`

fn main() {
    let scale = benches::Scale::of_arguments();
    benches::layer::layer(scale).print_alone();
    benches::end_to_end::end_to_end(scale).print_alone();
}
