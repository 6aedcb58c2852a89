//! One case and nothing else, for a profiler: `perf record target/release/report --measure profile try_authorization
//! 100000000`, with the name of a case of `hit`, or `noop` or `layer`.

use crate::child::number;
use crate::work::block_on;
use crate::{credential, headers, layer};

pub(crate) const NAME: &str = "profile";

/// Makes the calls by the system's clock, as users have it.
pub(crate) fn child(arguments: &[String]) -> Vec<f64> {
    let Some(name) = arguments.first() else { return Vec::new() };
    let calls = u64::try_from(number(arguments, 1)).unwrap_or(1);
    let cases = headers::cases(&credential::with_token());
    match cases.iter().find(|case| case.name == name) {
        Some(case) => block_on(case.work().run(calls)),
        None => layer::profile(name == "layer", calls),
    }
    Vec::new()
}
