//! What the figures are to reach, and why those do not that do not.

/// A figure's bound.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// The smaller the better, and this is small enough.
    AtMost(f64),
    /// The larger the better.
    AtLeast(f64),
}

/// What a ratio of the report is to reach.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The ratio's name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub is: &'static str,
    /// What it is to reach.
    pub bound: Bound,
}

const fn at_most(name: &'static str, bound: f64, is: &'static str) -> Target {
    Target { name, is, bound: Bound::AtMost(bound) }
}

const fn at_least(name: &'static str, bound: f64, is: &'static str) -> Target {
    Target { name, is, bound: Bound::AtLeast(bound) }
}

/// All ratios that have one.
pub const TARGETS: [Target; 22] = [
    at_most("hit_vs_floor", 1.8, "`try_authorization`, to a clone of a header of one's own"),
    at_most("hit_await_vs_floor", 2.1, "`authorization().await`, likewise"),
    at_most("hit_vs_rwlock_format", 0.5, "to a header made anew behind a lock"),
    at_most("flat_2_threads", 1.15, "two threads to one, the same of the floor taken away"),
    at_most("renewal_p999", 1.2, "p99.9 of a read, 100 renewals a second to none"),
    at_most("renewal_old_p999", 1.2, "the same for a token that is due, while its renewal hangs"),
    at_most(
        "layer_vs_noop_ns",
        60.0,
        "nanoseconds that the layer adds to a service that does nothing",
    ),
    at_most("layer_replay_ns", 250.0, "the same with a copy of the head for a replay"),
    at_most(
        "require_token_hit_ns",
        2000.0,
        "nanoseconds that a server's layer adds for a known token",
    ),
    at_most(
        "require_token_flat",
        1.15,
        "two threads to one, the same of the bare service taken away",
    ),
    at_most("require_token_hit_vs_verify", 0.2, "a known token, to a whole verification"),
    at_least("e2e_hyper", 0.97, "requests a second over loopback, to a static header"),
    at_least("e2e_reqwest", 0.97, "likewise, reqwest"),
    at_most("herd_waiter_bytes", 700.0, "bytes for each of 1,000,000 waiting tasks"),
    at_most("herd_layer_bytes", 2560.0, "likewise, through the layer"),
    at_most("tenant_bytes", 2048.0, "bytes for each of 100,000 authenticators"),
    at_most(
        "tenant_token_bytes",
        1024.0,
        "what each has more with a token, besides that and its record",
    ),
    at_most("hit_instructions_vs_floor", 2.0, "`try_authorization`, in instructions"),
    at_most("await_instructions_vs_floor", 2.1, "`authorization().await`, in instructions"),
    at_least("peers_least", 8.0, "the quickest peer that builds its header per call, to ours"),
    at_least("peers_middle_1_thread", 1.0, "`middle`, to ours"),
    at_least("peers_middle_2_threads", 3.0, "likewise, on two threads"),
];

impl Target {
    /// That of a ratio.
    pub fn of(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Whether this is enough.
    pub fn is_reached(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtMost(bound) => value <= bound,
            Bound::AtLeast(bound) => value >= bound,
        }
    }

    /// `≤ 1.8`, or `missed: ≤ 1.8, by 3 %`.
    pub fn verdict(&self, value: f64) -> String {
        let (sign, bound) = match self.bound {
            Bound::AtMost(bound) => ('≤', bound),
            Bound::AtLeast(bound) => ('≥', bound),
        };
        if self.is_reached(value) {
            format!("{sign} {bound}")
        } else {
            format!("**missed**: {sign} {bound}, by {:.0} %", 100.0 * (value / bound - 1.0).abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_for_one_side() {
        let most = Target::of("hit_vs_floor").unwrap();
        assert!(most.is_reached(1.8) && !most.is_reached(1.9) && !most.is_reached(f64::NAN));
        let least = Target::of("e2e_hyper").unwrap();
        assert!(least.is_reached(1.1) && !least.is_reached(0.9) && !least.is_reached(f64::NAN));
        assert_eq!(most.verdict(1.0), "≤ 1.8");
        assert_eq!(most.verdict(1.98), "**missed**: ≤ 1.8, by 10 %");
        assert!(Target::of("another").is_none());
    }
}
