//! Which partition a record without one goes to: by its key, or the sticky one (KIP-480, KIP-794).

use std::sync::atomic::{AtomicU64, Ordering};

/// Java's `Utils.murmur2`, which all of Kafka's clients partition by.
pub fn murmur2(key: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;

    let (words, tail) = key.as_chunks::<4>();
    let mut hash = SEED ^ key.len() as u32;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| rest << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    (hash ^ hash >> 15) as i32
}

/// The partition of a key, of `partitions` (at least 1).
pub fn for_key(key: &[u8], partitions: i32) -> i32 {
    if partitions == 1 { 0 } else { (murmur2(key) & 0x7fff_ffff) % partitions }
}

/// A topic's partition for records without a key: kept until `batch.size` bytes went to it, then
/// drawn anew.
#[derive(Debug)]
pub(super) struct Sticky {
    /// Bytes given to the present partition in the upper half, the partition in the lower. Racing
    /// senders may lose a few bytes of the count, never the partition.
    state: AtomicU64,
    random: AtomicU64,
}

impl Sticky {
    pub(super) fn new(seed: u64, partitions: i32) -> Self {
        let sticky = Self { state: AtomicU64::new(0), random: AtomicU64::new(seed) };
        sticky.state.store(sticky.draw(partitions, None), Ordering::Relaxed);
        sticky
    }

    /// The partition to use now.
    pub(super) fn partition(&self) -> i32 {
        self.state.load(Ordering::Relaxed) as u32 as i32
    }

    /// Notes that `bytes` went to the present partition.
    pub(super) fn sent(&self, bytes: usize, batch_size: usize, partitions: i32) {
        let state = self.state.load(Ordering::Relaxed);
        let total = (state >> 32) + bytes as u64;
        let partition = state as u32;
        let next = if total >= batch_size as u64 && partitions > 1 {
            self.draw(partitions, Some(partition as i32))
        } else {
            total.min(u64::from(u32::MAX)) << 32 | u64::from(partition)
        };
        self.state.store(next, Ordering::Relaxed);
    }

    /// Any partition but `old`.
    fn draw(&self, partitions: i32, old: Option<i32>) -> u64 {
        let others = (partitions - i32::from(old.is_some())).max(1) as u64;
        let drawn = ((u128::from(self.next_random()) * u128::from(others)) >> 64) as i32;
        let skipped = old.is_some_and(|old| drawn >= old && partitions > 1);
        (drawn + i32::from(skipped)) as u64
    }

    /// The generator called splitmix64.
    fn next_random(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_javas() {
        // The vectors of Kafka's UtilsTest.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn murmur2_takes_bytes_above_127_as_unsigned() {
        // By kafka-python, whose tests compare with Java.
        for (key, hash) in GOLDEN_BYTES {
            assert_eq!(murmur2(key), *hash, "{key:?}");
        }
    }

    #[test]
    fn a_key_always_has_the_same_partition() {
        for partitions in [1, 2, 7, 50] {
            let partition = for_key(b"key", partitions);

            assert!((0..partitions).contains(&partition));
            assert_eq!(partition, for_key(b"key", partitions));
        }
    }

    #[test]
    fn a_sticky_partition_stays_until_a_batch_is_full() {
        let sticky = Sticky::new(7, 8);
        let first = sticky.partition();

        sticky.sent(999, 1_000, 8);
        assert_eq!(sticky.partition(), first);
        sticky.sent(1, 1_000, 8);
        assert_ne!(sticky.partition(), first);
    }

    #[test]
    fn sticky_partitions_are_even_in_the_long_run() {
        let sticky = Sticky::new(1, 5);
        let mut counts = [0_u32; 5];
        for _ in 0..10_000 {
            counts[sticky.partition() as usize] += 1;
            sticky.sent(1, 1, 5);
        }

        assert!(counts.iter().all(|count| (1_800..2_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn one_partition_is_always_the_first() {
        let sticky = Sticky::new(3, 1);
        sticky.sent(10, 1, 1);

        assert_eq!(sticky.partition(), 0);
    }

    const GOLDEN_BYTES: &[(&[u8], i32)] = &[
        (b"", 275_646_681),
        (b"\xff", -311_467_685),
        (b"\x80\x81", 1_642_145_146),
        (b"\xff\xfe\xfd", 998_637_092),
        (b"\xe4\xbd\xa0\xe5\xa5\xbd", 183_567_948),
    ];
}
