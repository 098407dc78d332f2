//! What Java's collections and strings do, as far as results hang on it.

use std::cmp::Ordering;

use crate::coord::offsets::java_hash;

/// Slots of a hash table that nothing has grown yet.
const SLOTS: usize = 16;

/// `String.compareTo`: by UTF-16 units, which for characters beyond them is not Rust's order.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// The order in which a `HashMap` gives back different keys that were put into it in this order:
/// by slot, and within a slot as they came. (From the ninth key in one slot on Java makes it a
/// tree, with an order of its own; that is left out.)
pub(super) fn hash_order<'a, T>(items: &mut [T], key: impl Fn(&T) -> &'a str) {
    let slots = slots(SLOTS, items.len());
    items.sort_by_cached_key(|item| slot(java_hash(key(item)), slots));
}

/// How many slots there are once `len` keys are in: never more than three keys for four slots.
fn slots(mut slots: usize, len: usize) -> usize {
    while len > slots / 4 * 3 {
        slots *= 2;
    }
    slots
}

fn slot(hash: i32, slots: usize) -> usize {
    let hash = hash.cast_unsigned();
    (hash ^ (hash >> 16)) as usize & (slots - 1)
}

/// A `HashSet` of partitions of one topic, of which only the first is ever asked for.
#[derive(Clone, Debug)]
pub(super) struct Partitions {
    topic: i32,
    numbers: Vec<i32>,
    /// It never shrinks.
    slots: usize,
}

impl Partitions {
    pub(super) fn of(topic: &str) -> Self {
        Self { topic: java_hash(topic), numbers: Vec::new(), slots: SLOTS }
    }

    pub(super) fn insert(&mut self, number: i32) {
        self.numbers.push(number);
        self.slots = slots(self.slots, self.numbers.len());
    }

    pub(super) fn remove(&mut self, number: i32) {
        self.numbers.retain(|&other| other != number);
    }

    /// The one that iteration begins with.
    pub(super) fn first(&self) -> Option<i32> {
        self.numbers.iter().copied().min_by_key(|&number| slot(self.hash(number), self.slots))
    }

    /// `TopicPartition.hashCode`.
    fn hash(&self, number: i32) -> i32 {
        number.wrapping_add(31).wrapping_mul(31).wrapping_add(self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_javas_hash_map() {
        let mut few = ["consumer-1", "consumer-2", "a", "Aa", "BB", "group"];
        let names: Vec<String> = (0..13).map(|n| format!("member{n}")).collect();
        let mut many: Vec<&str> = names.iter().map(String::as_str).collect();

        hash_order(&mut few, |&key| key);
        hash_order(&mut many, |&key| key);

        assert_eq!(few, ["Aa", "BB", "a", "consumer-2", "consumer-1", "group"]);
        let numbers = [8, 11, 9, 12, 6, 7, 10, 4, 5, 2, 3, 0, 1];
        assert_eq!(many, numbers.map(|n| format!("member{n}")));
    }

    #[test]
    fn the_first_partition_is_that_of_javas_hash_set() {
        let mut set = Partitions::of("orders");
        let mut firsts = Vec::new();
        for number in (0..14).rev() {
            set.insert(number);
            firsts.push(set.first().unwrap());
        }
        for number in 0..13 {
            set.remove(number);
        }

        assert_eq!(firsts, [13, 12, 11, 10, 9, 8, 7, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(set.first(), Some(13));
    }

    #[test]
    fn strings_are_compared_by_their_utf16_units() {
        let (beyond, below) = ("\u{1f600}", "\u{ff5e}");

        assert_eq!(compare(beyond, below), Ordering::Less);
        assert_eq!(compare("a", "ab"), Ordering::Less);
    }
}
