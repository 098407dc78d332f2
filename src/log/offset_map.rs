//! The last offset of each key, in a table of bounded size (Kafka's `SkimpyOffsetMap`).
//!
//! A key is its 128-bit hash under a random key: it is not kept, and nobody can choose keys that
//! are taken for one another.

use crate::env::random;
use crate::log::siphash;

/// From keys to their last offsets.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    secret: u128,
    slots: Vec<Slot>,
    /// Slots there may be.
    most: usize,
    used: usize,
    /// Every record up to this offset is in the map.
    latest: i64,
}

/// Slots of a new map.
const FIRST: usize = 4096;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: [u64; 2],
    /// The offset plus one; 0 where the slot is free.
    next: i64,
}

impl OffsetMap {
    /// An empty map of at most so many bytes, and half as many more while it grows.
    pub(crate) fn new(memory: usize) -> Self {
        let most = (memory / size_of::<Slot>()).max(4);
        let slots = vec![Slot::default(); most.min(FIRST)];
        Self { secret: random::u128(), slots, most, used: 0, latest: -1 }
    }

    /// Notes the last offset of a key; `false` if there is no room for one more key.
    pub(crate) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = self.hash(key);
        let mut slot = self.find(hash);
        if self.slots[slot].next == 0 {
            // A fuller table is slow, and a full one would be searched for ever.
            if self.used >= self.slots.len() / 4 * 3 {
                if !self.grow() {
                    return false;
                }
                slot = self.find(hash);
            }
            self.used += 1;
        }
        self.slots[slot] = Slot { hash, next: offset + 1 };
        true
    }

    /// `false` where it may not.
    fn grow(&mut self) -> bool {
        let slots = self.slots.len().saturating_mul(2).min(self.most);
        if slots == self.slots.len() {
            return false;
        }
        let before = std::mem::replace(&mut self.slots, vec![Slot::default(); slots]);
        for slot in before.into_iter().filter(|slot| slot.next != 0) {
            let at = self.find(slot.hash);
            self.slots[at] = slot;
        }
        true
    }

    /// The last offset that was noted for a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<i64> {
        let slot = self.slots[self.find(self.hash(key))];
        (slot.next > 0).then(|| slot.next - 1)
    }

    /// The slot of a key of that hash, or the free one that it would have.
    fn find(&self, hash: [u64; 2]) -> usize {
        let mut at = (hash[0] % self.slots.len() as u64) as usize;
        while self.slots[at].next != 0 && self.slots[at].hash != hash {
            at = (at + 1) % self.slots.len();
        }
        at
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let hash = siphash::hash(self.secret, key);
        [hash as u64, (hash >> 64) as u64]
    }

    /// Up to which offset every record is in the map.
    pub(crate) fn latest(&self) -> i64 {
        self.latest
    }

    /// Says that every record up to `offset` is in the map.
    pub(crate) fn set_latest(&mut self, offset: i64) {
        self.latest = offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_each_key_is_found_until_there_is_no_room() {
        let mut map = OffsetMap::new(100 * size_of::<Slot>());
        let key = |n: i64| n.to_be_bytes();

        let taken = (0..200).take_while(|n| map.put(&key(*n), *n)).count() as i64;
        let again = map.put(&key(3), 500);

        assert_eq!((taken, again), (75, true));
        assert_eq!(map.get(&key(3)), Some(500));
        assert!((4..taken).all(|n| map.get(&key(n)) == Some(n)));
        assert_eq!(map.get(&key(taken)), None);
    }

    #[test]
    fn a_map_that_grows_forgets_nothing() {
        let mut map = OffsetMap::new(100_000 * size_of::<Slot>());
        let key = |n: i64| n.to_be_bytes();

        let taken = (0..200_000).take_while(|n| map.put(&key(*n), *n)).count() as i64;

        assert_eq!(taken, 75_000);
        assert!((0..taken).all(|n| map.get(&key(n)) == Some(n)));
        assert!((taken..200_000).all(|n| map.get(&key(n)).is_none()));
    }
}
