//! What the library warns of.

use std::cell::RefCell;
use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Keeps the warnings of each thread.
struct Keeper;

thread_local! {
    static KEPT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

impl Log for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() <= Level::Warn {
            KEPT.with_borrow_mut(|kept| kept.push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// What `work` gives, and what was warned of meanwhile in this thread.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Keeper).unwrap();
        log::set_max_level(LevelFilter::Warn);
    });
    KEPT.take();
    let done = work();
    (done, KEPT.take())
}
