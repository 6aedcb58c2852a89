//! Chance that repeats itself.

/// SplitMix64 (Steele, Lea and Flood 2014): from the same seed, the same sequence, on every machine and in every release.
#[derive(Debug, Clone)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// True with this probability: never at 0, and always at 1.
    pub(super) fn hits(&mut self, probability: f64) -> bool {
        // The 53 bits that the fraction of a double has: from 0 to just below 1, evenly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let drawn = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < probability
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut draws = Draws::seeded(1_234_567);
        let drawn: [u64; 3] = std::array::from_fn(|_| draws.next());
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(drawn, published);
    }

    #[test]
    fn a_probability_is_met_in_the_long_run_and_its_ends_exactly() {
        let hits = |probability| {
            let mut draws = Draws::seeded(7);
            (0..10_000).filter(|_| draws.hits(probability)).count()
        };
        assert_eq!((hits(0.0), hits(1.0)), (0, 10_000));
        assert!((2_800..3_200).contains(&hits(0.3)), "{}", hits(0.3));
    }
}
