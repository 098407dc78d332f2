//! What processes share without a lock, through every interleaving that the memory model allows
//! (`loom`). The sources are those of the engine; only their atomics are the checker's.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use loom::model::Builder;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;

#[path = "../../src/engine/control/published.rs"]
mod published;
#[path = "../../src/engine/control/sleepers.rs"]
mod sleepers;
#[path = "../../src/engine/control/subscribers.rs"]
mod subscribers;

/// What the sources take from their crate.
mod env {
    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
    }
    pub(crate) mod point {
        pub(crate) const fn point(_name: &str) {}
    }
}

use published::Published;
use sleepers::Sleepers;

struct Page {
    sequence: AtomicU64,
    slots: [Vec<AtomicU64>; 2],
}

impl Page {
    fn new() -> Self {
        let slot = || (0..2).map(|_| AtomicU64::new(0)).collect();
        Self { sequence: AtomicU64::new(0), slots: [slot(), slot()] }
    }

    fn published(&self) -> Published<'_> {
        Published { sequence: &self.sequence, slots: [&self.slots[0], &self.slots[1]] }
    }
}

/// Every interleaving with at most so many switches that no wait asks for.
fn check(switches: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(model);
}

#[test]
fn a_reader_never_sees_parts_of_two_values_nor_an_older_one_than_before() {
    check(3, || {
        let page = Arc::new(Page::new());
        let theirs = page.clone();

        let appends = thread::spawn(move || (1..=2).for_each(|n| theirs.published().set([n; 2])));

        let first: [u64; 2] = page.published().get();
        let second: [u64; 2] = page.published().get();
        assert!(first.iter().all(|word| *word == first[0]), "{first:?}");
        assert!(second.iter().all(|word| *word == second[0]), "{second:?}");
        assert!(first[0] <= second[0]);
        appends.join().unwrap();
    });
}

#[test]
fn a_reader_that_found_nothing_new_is_rung() {
    check(4, || {
        // The end of the log, who watches it, and the bell of the reader.
        let shared = Arc::new([0, 0, 0].map(AtomicU64::new));
        let theirs = shared.clone();

        let appends = thread::spawn(move || {
            let [end, watching, bell] = &*theirs;
            for n in 1..=2 {
                end.store(n, Ordering::Release);
                if subscribers::take(watching) != 0 {
                    bell.fetch_add(1, Ordering::SeqCst);
                }
            }
        });

        let [end, watching, bell] = &*shared;
        let seen = bell.load(Ordering::Acquire);
        subscribers::watch(watching, 5);
        let found = end.load(Ordering::Acquire);
        appends.join().unwrap();
        let is_rung = bell.load(Ordering::Acquire) != seen;
        assert!(found == 2 || is_rung, "it sleeps though the end has moved on from {found}");
    });
}

/// What a committer and who syncs share, and the bed of the system: a look at the word and the
/// falling asleep are one step there.
struct Syncing {
    synced: AtomicU64,
    word: AtomicU32,
    count: AtomicU32,
    bed: Mutex<()>,
    awake: Condvar,
}

impl Syncing {
    fn end(&self) -> Sleepers<'_> {
        Sleepers { word: &self.word, count: &self.count }
    }

    fn wait(&self, word: &AtomicU32, seen: u32) {
        let bed = self.bed.lock().unwrap();
        if word.load(Ordering::SeqCst) == seen {
            drop(self.awake.wait(bed).unwrap());
        }
    }

    fn wake(&self) {
        let _bed = self.bed.lock().unwrap();
        self.awake.notify_all();
    }
}

#[test]
fn nobody_sleeps_on_who_went_to_sleep_before_the_sync_had_ended() {
    check(4, || {
        let shared = Arc::new(Syncing {
            synced: AtomicU64::new(0),
            word: AtomicU32::new(0),
            count: AtomicU32::new(0),
            bed: Mutex::new(()),
            awake: Condvar::new(),
        });
        let theirs = shared.clone();

        let syncs = thread::spawn(move || {
            theirs.synced.store(1, Ordering::Release);
            if theirs.end().change() {
                theirs.wake();
            }
        });

        let seen = shared.end().seen();
        if shared.synced.load(Ordering::Acquire) == 0 {
            shared.end().sleep(|word| shared.wait(word, seen));
            assert_ne!(shared.end().seen(), seen);
        }
        syncs.join().unwrap();
        assert_eq!(shared.count.load(Ordering::Relaxed), 0);
    });
}
