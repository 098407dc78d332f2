//! Randomness for ids, from the operating system by way of the standard library's hash keys. In
//! builds with debug assertions a simulator decides what comes in its own thread: [`with_seed`].

use std::hash::{BuildHasher as _, RandomState};

/// 128 bits that nobody has guessed; good for ids, not for keys of ciphers.
pub fn u128() -> u128 {
    #[cfg(debug_assertions)]
    if let Some(number) = seeded::next() {
        return number;
    }
    let half = |salt: u64| u128::from(RandomState::new().hash_one(salt));
    half(0) << 64 | half(1)
}

#[cfg(debug_assertions)]
pub use seeded::with_seed;

#[cfg(debug_assertions)]
mod seeded {
    use std::cell::Cell;
    use std::hash::{DefaultHasher, Hasher as _};

    thread_local! {
        /// The seed, and how many numbers it has given.
        static SEED: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
    }

    pub(super) fn next() -> Option<u128> {
        let (seed, given) = SEED.get()?;
        SEED.set(Some((seed, given + 1)));
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            for word in [seed, given, salt] {
                hasher.write_u64(word);
            }
            u128::from(hasher.finish())
        };
        Some(half(0) << 64 | half(1))
    }

    /// Runs `work`, in which the numbers of this thread follow from `seed`.
    pub fn with_seed<T>(seed: u64, work: impl FnOnce() -> T) -> T {
        struct Restore(Option<(u64, u64)>);
        impl Drop for Restore {
            fn drop(&mut self) {
                SEED.set(self.0);
            }
        }
        let _restore = Restore(SEED.replace(Some((seed, 0))));
        work()
    }

    #[cfg(test)]
    mod tests {
        use super::super::u128;
        use super::*;

        #[test]
        fn a_seed_gives_the_same_numbers_again_and_all_different() {
            let two = || with_seed(7, || (u128(), u128()));

            assert_eq!(two(), two());
            assert_ne!(two().0, two().1);
            assert_ne!(with_seed(8, u128), two().0);
            assert_ne!(u128(), two().0);
        }
    }
}
