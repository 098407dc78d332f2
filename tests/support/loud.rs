//! What the library logs, on the standard error.

use log::{LevelFilter, Log, Metadata, Record};

struct Loud;

impl Log for Loud {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        eprintln!("{} {}: {}", std::process::id(), record.level(), record.args());
    }

    fn flush(&self) {}
}

/// Lets warnings be seen from now on.
pub(crate) fn loud() {
    // Another test may have done it.
    let _ = log::set_logger(&Loud);
    log::set_max_level(LevelFilter::Warn);
}
