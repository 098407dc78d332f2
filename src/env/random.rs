//! Randomness for ids, from the operating system by way of the standard library's hash keys.

use std::hash::{BuildHasher as _, RandomState};

/// 128 bits that nobody has guessed; good for ids, not for keys of ciphers.
pub fn u128() -> u128 {
    let half = |salt: u64| u128::from(RandomState::new().hash_one(salt));
    half(0) << 64 | half(1)
}
