//! A partition's page: 64 words of shared memory that say where its log ends.
//!
//! The page is a cache. Whoever finds it void fills it from the log, under the partition's lock;
//! only the holder of that lock writes it, the words of [`sync`](crate::engine::partition::sync) and
//! [`committers`](crate::engine::partition::committers) and the subscribers excepted. Words that are hot for different users lie on different cache lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::engine::control::published::Published;
use crate::env::Map;
use crate::env::wake;
use crate::log::recovery::Recovered;
use crate::log::tail::Tail;
use crate::types::Timestamp;

/// 8-byte words of one page.
pub(crate) const WORDS: usize = 64;

pub(crate) const VALID: usize = 0;
const SEQUENCE: usize = 1;
pub(crate) const INTENT: usize = 2;
const POISON: usize = 3;
const LEADER_EPOCH: usize = 4;
const LOG_START: usize = 5;
const FIRST_UNSTABLE: usize = 6;
const PRODUCERS: usize = 7;
const SLOTS: [usize; 2] = [8, 16];
pub(crate) const SYNCED: usize = 24;
const SUBSCRIBERS: usize = 32;
const DELETED: usize = 33;
/// The base offset of a segment plus one, and the timestamp of its first batch: what `segment.ms`
/// is measured from. Only for the holder of the lock.
const FIRST_OF: usize = 34;
const FIRST_TIMESTAMP: usize = 35;
const RECOVERED_BEFORE: usize = 36;
const UNNAMED: usize = 37;
const FOUND: usize = 38;
/// The word that those who want the partition's lock wait on, counted in halves.
const QUEUE: usize = 2 * 39;
/// Two for each time that segments were replaced; odd while that is done. Beside the words that
/// readers look at.
const SWAPS: usize = 40;
/// The base offset of a segment plus one, and up to where it has room. Only for the holder of the
/// lock.
const ROOM_OF: usize = 48;
const ROOM: usize = 49;
/// Number 50 is in [`committers`](crate::engine::partition::committers), as are those from 25 to 31, 56 and 57.
const LAST_SYNC: usize = 51;
pub(crate) const SYNCED_BEFORE: usize = 52;

/// One partition's page in a map.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    map: Arc<dyn Map>,
    first: usize,
}

/// An offset in a word in which 0 is none.
pub(crate) fn known_offset(word: u64) -> Option<i64> {
    word.checked_sub(1).map(|offset| offset as i64)
}

impl Page {
    /// The page whose words begin with number `first` of the map.
    pub(crate) fn new(map: Arc<dyn Map>, first: usize) -> Self {
        Self { map, first }
    }

    pub(crate) fn word(&self, index: usize) -> &AtomicU64 {
        &self.map.words()[self.first + index]
    }

    pub(crate) fn half(&self, index: usize) -> &AtomicU32 {
        &self.map.halves()[2 * self.first + index]
    }

    fn signed(&self, index: usize) -> i64 {
        self.word(index).load(Ordering::Acquire) as i64
    }

    /// Whether somebody has filled the page since the directory was opened by its first process.
    pub(crate) fn is_valid(&self) -> bool {
        self.word(VALID).load(Ordering::Acquire) == 1
    }

    /// Fills the page with what recovery found, and publishes it.
    pub(crate) fn fill(&self, found: &Recovered) {
        let store = |index: usize, value: i64| {
            self.word(index).store(value as u64, Ordering::Release);
        };
        store(LEADER_EPOCH, i64::from(found.leader_epoch));
        store(LOG_START, found.log_start_offset);
        store(FIRST_UNSTABLE, found.first_unstable_offset.unwrap_or(-1));
        store(PRODUCERS, i64::from(found.has_producers));
        store(SYNCED, found.synced_offset);
        // It may have been closed, or its processes killed, before anybody synced it; and a recovery
        // writes what it makes anew without a sync.
        store(UNNAMED, 1);
        self.publish(&found.tail);
        store(VALID, 1);
    }

    /// The end of the log, as last published.
    pub(crate) fn tail(&self) -> Tail {
        unpack(self.end().get())
    }

    fn end(&self) -> Published<'_> {
        let words = self.map.words();
        let slot = |index: usize| &words[self.first + index..][..8];
        Published { sequence: self.word(SEQUENCE), slots: SLOTS.map(slot) }
    }

    /// Makes `tail` the end of the log for everybody, in one step. For the holder of the lock.
    pub(crate) fn publish(&self, tail: &Tail) {
        self.end().set(pack(tail));
    }

    /// Whether the partition was there before the first process came.
    pub(crate) fn was_found(&self) -> bool {
        self.word(FOUND).load(Ordering::Acquire) == 1
    }

    /// Whether it was, or only its name was: its folder is lost.
    pub(crate) fn was_listed(&self) -> bool {
        self.word(FOUND).load(Ordering::Acquire) != 0
    }

    pub(crate) fn set_listed(&self) {
        self.word(FOUND).store(2, Ordering::Release);
    }

    pub(crate) fn set_found(&self) {
        self.word(FOUND).store(1, Ordering::Release);
    }

    /// Whether the log was recovered earlier in this boot, though not since the first process came.
    pub(crate) fn was_recovered_before(&self) -> bool {
        self.word(RECOVERED_BEFORE).load(Ordering::Acquire) != 0
    }

    pub(crate) fn set_recovered_before(&self) {
        self.word(RECOVERED_BEFORE).store(1, Ordering::Release);
    }

    /// Everything below it was on the disk when the processes before us were gone, and they had cut
    /// nothing that could come back; `None` if that is not known.
    pub(crate) fn synced_before(&self) -> Option<i64> {
        known_offset(self.word(SYNCED_BEFORE).load(Ordering::Acquire))
    }

    pub(crate) fn set_synced_before(&self, offset: Option<i64>) {
        let word = offset.map_or(0, |offset| offset as u64 + 1);
        self.word(SYNCED_BEFORE).store(word, Ordering::Release);
    }

    /// Whether the last holder of the lock died in the middle of a change.
    pub(crate) fn intent(&self) -> bool {
        self.word(INTENT).load(Ordering::Acquire) != 0
    }

    pub(crate) fn set_intent(&self, intent: bool) {
        self.word(INTENT).store(u64::from(intent), Ordering::Release);
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.word(POISON).load(Ordering::Acquire) != 0
    }

    pub(crate) fn poison(&self) {
        self.word(POISON).store(1, Ordering::Release);
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.word(DELETED).load(Ordering::Acquire) != 0
    }

    pub(crate) fn delete(&self) {
        self.word(DELETED).store(1, Ordering::Release);
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.signed(LEADER_EPOCH) as i32
    }

    pub(crate) fn log_start_offset(&self) -> i64 {
        self.signed(LOG_START)
    }

    /// Lets the log start at `offset`, if it starts before. For the holder of the lock.
    pub(crate) fn advance_log_start(&self, offset: i64) {
        if offset <= self.log_start_offset() {
            return;
        }
        self.word(LOG_START).store(offset as u64, Ordering::Release);
        if self.first_unstable_offset().is_some_and(|first| first < offset) {
            self.word(FIRST_UNSTABLE).store(offset as u64, Ordering::Release);
        }
        let tail = self.tail();
        if tail.last_stable_offset < offset {
            self.publish(&Tail { last_stable_offset: offset, ..tail });
        }
    }

    /// Where the oldest open transaction begins.
    pub(crate) fn first_unstable_offset(&self) -> Option<i64> {
        Some(self.signed(FIRST_UNSTABLE)).filter(|offset| *offset >= 0)
    }

    /// Whether the log has batches of idempotent or transactional producers.
    pub(crate) fn has_producers(&self) -> bool {
        self.signed(PRODUCERS) != 0
    }

    pub(crate) fn set_has_producers(&self) {
        self.word(PRODUCERS).store(1, Ordering::Release);
    }

    /// Which edition of the list of segments is valid: it grows when segments are replaced, and is
    /// odd while that is done, or when who did it died.
    pub(crate) fn swaps(&self) -> u64 {
        self.word(SWAPS).load(Ordering::Acquire)
    }

    /// Says that segments are being replaced. For the holder of the lock.
    pub(crate) fn begin_swap(&self) {
        self.word(SWAPS).fetch_or(1, Ordering::SeqCst);
    }

    /// Says that they were.
    pub(crate) fn end_swap(&self) {
        self.word(SWAPS).fetch_add(1, Ordering::SeqCst);
    }

    /// Says that all of it is another view. For a page that nobody shares.
    pub(crate) fn skip_edition(&self) {
        self.word(SWAPS).fetch_add(2, Ordering::SeqCst);
    }

    /// The timestamp of the first batch of the segment at `base`, if it was noted.
    pub(crate) fn first_timestamp(&self, base: i64) -> Option<Timestamp> {
        (self.signed(FIRST_OF) == base.wrapping_add(1)).then(|| self.signed(FIRST_TIMESTAMP))
    }

    pub(crate) fn set_first_timestamp(&self, base: i64, timestamp: Timestamp) {
        self.word(FIRST_TIMESTAMP).store(timestamp as u64, Ordering::Release);
        self.word(FIRST_OF).store(base.wrapping_add(1) as u64, Ordering::Release);
    }

    /// Up to which position the segment at `base` was written with zeros, or with batches.
    pub(crate) fn room(&self, base: i64) -> u64 {
        if self.signed(ROOM_OF) == base.wrapping_add(1) {
            self.word(ROOM).load(Ordering::Acquire)
        } else {
            0
        }
    }

    pub(crate) fn set_room(&self, base: i64, to: u64) {
        self.word(ROOM).store(to, Ordering::Release);
        self.word(ROOM_OF).store(base.wrapping_add(1) as u64, Ordering::Release);
    }

    /// Whether a crash may still take the names of the log's files.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.signed(UNNAMED) != 0
    }

    pub(crate) fn set_named(&self) {
        self.word(UNNAMED).store(0, Ordering::Release);
    }

    /// Everything below this offset is on the disk.
    pub(crate) fn synced_offset(&self) -> i64 {
        self.signed(SYNCED)
    }

    /// Notes that what is below `offset` is on the disk, since `now`.
    pub(crate) fn set_synced(&self, offset: i64, now: Timestamp) {
        // As signed numbers: -1, which nobody wrote who keeps to the protocol, is not above all.
        let _ = self.word(SYNCED).fetch_update(Ordering::AcqRel, Ordering::Acquire, |known| {
            (offset > known as i64).then_some(offset as u64)
        });
        self.set_last_sync(now);
    }

    /// When something was last synced; who begins to use a log counts from then.
    pub(crate) fn last_sync(&self) -> Timestamp {
        self.signed(LAST_SYNC)
    }

    pub(crate) fn set_last_sync(&self, now: Timestamp) {
        self.word(LAST_SYNC).store(now as u64, Ordering::Release);
    }

    /// Wakes one of those who wait for the partition's lock, which was just given back.
    pub(crate) fn call_next(&self) {
        let queue = self.queue();
        if queue.load(Ordering::SeqCst) == 1 && queue.swap(0, Ordering::SeqCst) == 1 {
            wake::wake_one(queue);
        }
    }

    /// 1 while somebody may wait for the partition's lock; who waits does so for this word.
    pub(crate) fn queue(&self) -> &AtomicU32 {
        &self.map.halves()[2 * self.first + QUEUE]
    }

    /// A bit for each doorbell that wants to hear of an append.
    pub(crate) fn subscribers(&self) -> &AtomicU64 {
        self.word(SUBSCRIBERS)
    }
}

fn pack(tail: &Tail) -> [u64; 8] {
    [
        tail.end_offset as u64,
        tail.end_position,
        tail.segment_base as u64,
        tail.max_timestamp as u64,
        tail.offset_of_max_timestamp as u64,
        tail.indexed_position,
        tail.last_stable_offset as u64,
        u64::from(tail.index_entries) | u64::from(tail.time_entries) << 32,
    ]
}

fn unpack(words: [u64; 8]) -> Tail {
    let [end, position, base, max, offset_of_max, indexed, stable, entries] = words;
    Tail {
        end_offset: end as i64,
        end_position: position,
        segment_base: base as i64,
        max_timestamp: max as i64,
        offset_of_max_timestamp: offset_of_max as i64,
        indexed_position: indexed,
        last_stable_offset: stable as i64,
        index_entries: entries as u32,
        time_entries: (entries >> 32) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::map::heap;

    fn tail(end: i64) -> Tail {
        Tail {
            end_offset: end,
            end_position: end as u64 * 2,
            segment_base: end * 3,
            max_timestamp: end * 4,
            offset_of_max_timestamp: end * 5,
            indexed_position: end as u64 * 6,
            last_stable_offset: end * 7,
            index_entries: end as u32,
            time_entries: end as u32 + 1,
        }
    }

    #[test]
    fn a_log_never_starts_earlier_again_nor_is_it_decided_before_its_start() {
        let page = Page::new(heap(WORDS), 0);
        page.word(FIRST_UNSTABLE).store(3, Ordering::Relaxed);
        page.publish(&Tail { last_stable_offset: 3, ..tail(10) });

        page.advance_log_start(7);
        page.advance_log_start(5);

        assert_eq!(page.log_start_offset(), 7);
        assert_eq!(page.first_unstable_offset(), Some(7));
        assert_eq!(page.tail(), Tail { last_stable_offset: 7, ..tail(10) });
    }

    #[test]
    fn a_reader_never_sees_parts_of_two_ends() {
        let page = Page::new(heap(WORDS), 0);
        page.publish(&tail(0));
        let writer = page.clone();
        let publish =
            std::thread::spawn(move || (1..200_000).for_each(|n| writer.publish(&tail(n))));

        while !publish.is_finished() {
            let seen = page.tail();

            assert_eq!(seen, tail(seen.end_offset));
        }
        publish.join().unwrap();
    }
}
