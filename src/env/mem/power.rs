//! What a power loss leaves of what was not synced.
//!
//! Every change carries a number, its *step*. The fate of a step depends on the seed and the step
//! alone, so that one step in two folders (a rename) has one fate.

/// The part of a write that arrives whole or not at all.
pub(super) const SECTOR: u64 = 512;

/// How one power loss goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    /// Nothing that was not synced arrived.
    Nothing,
    /// Everything arrived.
    Everything,
    /// Each change has its own fate.
    Mixed(u64),
}

/// What becomes of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Whole,
    Lost,
    /// Some of its sectors, by the chance given.
    Sectors(Chance),
    /// Its first bytes, by the chance given.
    Prefix(Chance),
}

impl Loss {
    pub(super) fn of_seed(seed: u64) -> Self {
        match seed {
            0 => Self::Nothing,
            1 => Self::Everything,
            seed => Self::Mixed(seed),
        }
    }

    /// Whether a change that cannot be torn arrived.
    pub(super) fn arrives(self, step: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Mixed(seed) => Chance::new(seed, step).coin(0),
        }
    }

    pub(super) fn fate(self, step: u64) -> Fate {
        match self {
            Self::Nothing => Fate::Lost,
            Self::Everything => Fate::Whole,
            Self::Mixed(seed) => {
                let chance = Chance::new(seed, step);
                match chance.number(0) % 4 {
                    0 => Fate::Lost,
                    1 => Fate::Whole,
                    2 => Fate::Sectors(chance),
                    _ => Fate::Prefix(chance),
                }
            }
        }
    }
}

/// Numbers that look random and depend on a seed only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64, step: u64) -> Self {
        Self(mix(seed ^ mix(step)))
    }

    pub(super) fn number(self, index: u64) -> u64 {
        mix(self.0.wrapping_add(mix(index)))
    }

    pub(super) fn coin(self, index: u64) -> bool {
        self.number(index) & 1 == 1
    }
}

/// The output function of `SplitMix64`.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_seeds_lose_all_and_nothing() {
        for step in 0..100 {
            assert!(!Loss::of_seed(0).arrives(step));
            assert_eq!(Loss::of_seed(0).fate(step), Fate::Lost);
            assert!(Loss::of_seed(1).arrives(step));
            assert_eq!(Loss::of_seed(1).fate(step), Fate::Whole);
        }
    }

    #[test]
    fn other_seeds_deal_out_every_fate() {
        let fates: Vec<Fate> = (0..100).map(|step| Loss::of_seed(2).fate(step)).collect();

        assert!(fates.contains(&Fate::Lost));
        assert!(fates.contains(&Fate::Whole));
        assert!(fates.iter().any(|fate| matches!(fate, Fate::Sectors(_))));
        assert!(fates.iter().any(|fate| matches!(fate, Fate::Prefix(_))));
    }

    #[test]
    fn a_seed_always_deals_the_same() {
        for step in 0..100 {
            assert_eq!(Loss::of_seed(9).fate(step), Loss::of_seed(9).fate(step));
        }
    }
}
