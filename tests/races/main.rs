//! What processes share without a lock, through every interleaving that the memory model allows
//! (`loom`). The sources are those of the engine; only their atomics are the checker's.

use std::sync::Arc;

use loom::model::Builder;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

#[path = "../../src/engine/published.rs"]
mod published;
#[path = "../../src/engine/subscribers.rs"]
mod subscribers;

/// What the sources take from their crate.
mod env {
    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
    }
    pub(crate) mod point {
        pub(crate) const fn point(_name: &str) {}
    }
}

use published::Published;

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
