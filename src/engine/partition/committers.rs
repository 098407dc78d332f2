//! Who waits for a sync of a partition, as its page tells: so that one sync serves more of them.
//!
//! A committer has a bit. It sets it when its records are published and not synced; who syncs takes
//! all bits. Two that have the same bit are taken for one, and a bit whose owner died goes with the
//! next sync: all that is lost is a little time.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::control::page::Page;
use crate::engine::control::sleepers::Sleepers;
use crate::env::wake;

/// The words that who waits for a sync sleeps on, counted in halves: for those of even and of odd
/// number.
const ENDS: usize = 2 * 25;
/// Who waits for a sync, who is waited for, and who had the last one: a bit each.
const WAITING: usize = 26;
const EXPECTED: usize = 27;
const LAST: usize = 28;
/// When the last sync ended, on the monotonic clock, and how long they take: nanoseconds.
const ENDED: usize = 29;
const TIME: usize = 30;
/// Grows when the last one that is waited for is here.
const ARRIVALS: usize = 2 * 31;
/// Whether somebody syncs; a hint, for he may have died.
const SYNCING: usize = 2 * 31 + 1;
/// Bits that were given to processes.
const BITS: usize = 50;
/// How many sleep on each of the two words, counted in halves.
const ASLEEP: usize = 2 * 56;
/// How many syncs have begun, counted in halves.
const BEGUN: usize = 2 * 57;

/// The committers of this process.
#[derive(Debug, Default)]
pub(crate) struct Committers {
    /// The bit of the first, once it is known, plus one.
    first: AtomicU32,
    /// How many wait now.
    inside: AtomicU32,
    /// How many syncs had begun when somebody waited in vain for the next to end, plus one.
    in_vain: AtomicU64,
}

/// A place among those who wait, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Committers);

impl Committers {
    /// Says that one waits whose records are published.
    pub(crate) fn enter(&self, page: &Page) -> Place<'_> {
        let others = self.inside.fetch_add(1, Ordering::AcqRel);
        page.arrive(1 << ((self.first(page) + others) % 64));
        Place(self)
    }

    /// Notes that who syncs, or is about to, was waited for in vain: he may have been stopped.
    pub(crate) fn waited_in_vain(&self, page: &Page) {
        self.in_vain.store(u64::from(page.syncs_begun()) + 1, Ordering::Release);
    }

    /// Whether nobody has begun a sync since he was waited for in vain.
    pub(crate) fn would_wait_in_vain(&self, page: &Page) -> bool {
        self.in_vain.load(Ordering::Acquire) == u64::from(page.syncs_begun()) + 1
    }

    fn first(&self, page: &Page) -> u32 {
        match self.first.load(Ordering::Acquire) {
            0 => {
                let bit = page.word(BITS).fetch_add(1, Ordering::AcqRel) as u32 % 64;
                self.first.store(bit + 1, Ordering::Release);
                bit
            }
            known => known - 1,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Page {
    fn arrive(&self, bit: u64) {
        let here = self.word(WAITING).fetch_or(bit, Ordering::SeqCst) | bit;
        let expected = self.word(EXPECTED).load(Ordering::SeqCst);
        if expected & bit != 0 && expected & !here == 0 {
            self.arrivals().fetch_add(1, Ordering::SeqCst);
            wake::wake_all(self.arrivals());
        }
    }

    /// Until when it is worth to wait for those who had the last sync and are not here again;
    /// `None` if it is not. Their arrival is told by [`arrivals`](Self::arrivals) from now on.
    pub(crate) fn gather_until(&self, now: Duration) -> Option<Duration> {
        let time = Duration::from_nanos(self.word(TIME).load(Ordering::Relaxed));
        let ended = Duration::from_nanos(self.word(ENDED).load(Ordering::Relaxed));
        let here = self.word(WAITING).load(Ordering::SeqCst);
        let expected = here | self.word(LAST).load(Ordering::Relaxed);
        if expected == here || now.saturating_sub(ended) > time {
            return None;
        }
        self.expect(expected);
        Some(now + time / 2)
    }

    /// Names those who are waited for.
    pub(crate) fn expect(&self, committers: u64) {
        self.word(EXPECTED).store(committers, Ordering::SeqCst);
    }

    /// Whether all who are waited for have come.
    pub(crate) fn are_all_here(&self) -> bool {
        let expected = self.word(EXPECTED).load(Ordering::SeqCst);
        expected & !self.word(WAITING).load(Ordering::SeqCst) == 0
    }

    /// The word that changes when they have.
    pub(crate) fn arrivals(&self) -> &AtomicU32 {
        self.half(ARRIVALS)
    }

    /// Begins a sync for all who wait now, and gives them. What they wait for is published.
    pub(crate) fn take_committers(&self) -> u64 {
        self.half(BEGUN).fetch_add(1, Ordering::SeqCst);
        self.word(WAITING).swap(0, Ordering::SeqCst)
    }

    /// How many syncs have begun.
    fn syncs_begun(&self) -> u32 {
        self.half(BEGUN).load(Ordering::SeqCst)
    }

    /// Those who wait for the end of sync number `number`.
    fn end_of_sync(&self, number: u32) -> Sleepers<'_> {
        let at = (number % 2) as usize;
        Sleepers { word: self.half(ENDS + at), count: self.half(ASLEEP + at) }
    }

    /// The word that changes when a sync ends. Who looks at this now, its records published, sleeps
    /// on it until the end of the next sync to begin, or until it is up to him to do that.
    pub(crate) fn end_of_next_sync(&self) -> Sleepers<'_> {
        self.end_of_sync(self.syncs_begun().wrapping_add(1))
    }

    /// Wakes those for whom the last sync was, and one of the others: to do the next.
    pub(crate) fn announce_sync(&self) {
        let begun = self.syncs_begun();
        let ends = [begun, begun.wrapping_add(1)].map(|number| self.end_of_sync(number));
        // Both before anybody is woken: who is about to sleep must not.
        let [this, next] = ends.map(|end| Some(end.word).filter(|_| end.change()));
        this.map(wake::wake_all);
        next.map(wake::wake_one);
    }

    /// Wakes all who wait for a sync.
    pub(crate) fn wake_committers(&self) {
        for end in [0, 1].map(|number| self.end_of_sync(number)) {
            if end.change() {
                wake::wake_all(end.word);
            }
        }
    }

    /// Notes a sync: whom it served and how long it took.
    pub(crate) fn note_sync(&self, group: u64, began: Duration, ended: Duration) {
        let took = nanos(ended.saturating_sub(began));
        let before = self.word(TIME).load(Ordering::Relaxed);
        let average = if before == 0 { took } else { before - before / 8 + took / 8 };
        self.word(TIME).store(average, Ordering::Relaxed);
        self.word(LAST).store(group, Ordering::Relaxed);
        self.word(ENDED).store(nanos(ended), Ordering::Relaxed);
    }

    /// Whether somebody syncs, or died at it.
    pub(crate) fn is_syncing(&self) -> bool {
        self.half(SYNCING).load(Ordering::Acquire) != 0
    }

    pub(crate) fn set_syncing(&self, syncing: bool) {
        self.half(SYNCING).store(syncing.into(), Ordering::Release);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::control::page::WORDS;
    use crate::env::map::heap;

    const MS: Duration = Duration::from_millis(1);

    fn page() -> Page {
        Page::new(heap(WORDS), 0)
    }

    /// A sync of `group` that took 2 ms and ended at 10.
    fn after_sync(group: u64) -> Page {
        let page = page();
        page.note_sync(group, 8 * MS, 10 * MS);
        page
    }

    #[test]
    fn who_was_alone_waits_for_nobody() {
        let page = after_sync(0b1);
        page.arrive(0b1);

        assert_eq!(page.gather_until(10 * MS), None);
    }

    #[test]
    fn those_of_the_last_sync_are_waited_for_half_of_its_time() {
        let page = after_sync(0b110);
        page.arrive(0b1);

        assert_eq!(page.gather_until(11 * MS), Some(12 * MS));
        assert!(!page.are_all_here());
    }

    #[test]
    fn nobody_is_waited_for_whose_sync_was_long_ago() {
        let page = after_sync(0b110);
        page.arrive(0b1);

        assert_eq!(page.gather_until(12 * MS + Duration::from_nanos(1)), None);
    }

    #[test]
    fn only_the_last_to_come_ends_the_wait() {
        let page = after_sync(0b110);
        page.arrive(0b1);
        page.gather_until(10 * MS);

        page.arrive(0b100);
        assert_eq!(page.arrivals().load(Ordering::SeqCst), 0);
        page.arrive(0b10);

        assert_eq!(page.arrivals().load(Ordering::SeqCst), 1);
        assert!(page.are_all_here());
        assert_eq!(page.take_committers(), 0b111);
    }

    #[test]
    fn nobody_is_woken_at_the_end_of_a_sync_where_nobody_sleeps() {
        let page = page();
        let end = page.end_of_next_sync();

        assert!(!end.change());
        assert!(end.sleep(|_| end.change()));
        assert!(!end.change());
    }

    #[test]
    fn what_a_page_tells_of_syncs_lies_in_words_of_its_own() {
        let page = page();
        page.set_synced_before(Some(7));

        page.take_committers();
        page.end_of_next_sync().change();

        assert_eq!(page.synced_before(), Some(7));
    }

    #[test]
    fn who_commits_at_the_same_time_has_another_bit() {
        let page = page();
        let (one, two) = (Committers::default(), Committers::default());

        let _places = (one.enter(&page), two.enter(&page));

        assert_eq!(page.take_committers().count_ones(), 2);
        drop(one.enter(&page));
        let again = page.take_committers();
        drop(one.enter(&page));
        assert_eq!(page.take_committers(), again);
    }
}
