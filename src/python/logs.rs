//! What the core has to say, as records of Python's `logging`, by loggers below `brokerless`.
//!
//! A thread that logs never waits for the interpreter: it may hold locks that those who have the
//! interpreter wait for, the interpreter may be at its end, or just be forking. What it says is
//! kept, and handed over by the next thread that is in Python anyway.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter, Metadata, Record};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use super::gate;

/// What is kept at most; of more only the number.
const MOST: usize = 1000;

/// What was said and not handed over.
#[derive(Debug)]
struct Kept {
    said: VecDeque<Said>,
    lost: usize,
}

#[derive(Debug)]
struct Said {
    level: Level,
    logger: String,
    text: String,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { said: VecDeque::new(), lost: 0 });

/// Whether something is kept, to look at without the lock.
static ANY: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This thread is in a handler of the user, which may call us.
    static HANDING_OVER: Cell<bool> = const { Cell::new(false) };
    /// The lock, while this thread forks.
    static HELD: RefCell<Option<MutexGuard<'static, Kept>>> = const { RefCell::new(None) };
}

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Bridge;

impl log::Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("brokerless")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let logger = record.target().replace("::", ".");
        let said = Said { level: record.level(), logger, text: record.args().to_string() };
        let mut kept = kept();
        if kept.said.len() < MOST {
            kept.said.push_back(said);
        } else {
            kept.lost += 1;
        }
        ANY.store(true, Ordering::Release);
    }

    fn flush(&self) {}
}

/// Begins to keep what is said.
pub(super) fn begin() {
    // Only where this module is part of another program may there be a logger already.
    if log::set_logger(&Bridge).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// Hands over what was said. What a handler raises is its own affair, but for what is no
/// `Exception` (Ctrl-C).
#[inline]
pub(super) fn hand_over(py: Python<'_>) -> PyResult<()> {
    if ANY.load(Ordering::Relaxed) { hand_over_all(py) } else { Ok(()) }
}

#[cold]
fn hand_over_all(py: Python<'_>) -> PyResult<()> {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            HANDING_OVER.set(false);
        }
    }
    if HANDING_OVER.replace(true) {
        return Ok(());
    }
    let _done = Done;
    // A daemon thread may be here while the interpreter ends.
    gate::call(py, || emit_all(py, take()))
}

fn emit_all(py: Python<'_>, Kept { mut said, lost }: Kept) -> PyResult<()> {
    if lost > 0 {
        let text = format!("{lost} messages more are lost: nobody called meanwhile");
        said.push_back(Said { level: Level::Warn, logger: "brokerless".into(), text });
    }
    said.iter().try_for_each(|said| ignore(py, emit(py, said)))
}

fn take() -> Kept {
    let mut kept = kept();
    ANY.store(false, Ordering::Release);
    std::mem::replace(&mut *kept, Kept { said: VecDeque::new(), lost: 0 })
}

fn emit(py: Python<'_>, said: &Said) -> PyResult<()> {
    let logger = py.import("logging")?.call_method1("getLogger", (&said.logger,))?;
    let level = match said.level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug | Level::Trace => 10,
    };
    logger.call_method1("log", (level, "%s", &said.text)).map(drop)
}

fn ignore(py: Python<'_>, emitted: PyResult<()>) -> PyResult<()> {
    match emitted {
        Err(raised) if raised.is_instance_of::<PyException>(py) => {
            raised.write_unraisable(py, None);
            Ok(())
        }
        other => other,
    }
}

/// Lets a fork find the lock at rest.
pub(super) fn before_fork() {
    HELD.with_borrow_mut(|held| {
        if held.is_none() {
            *held = Some(kept());
        }
    });
}

pub(super) fn after_fork_in_parent() {
    HELD.with_borrow_mut(Option::take);
}

/// What was said is the parent's.
pub(super) fn after_fork_in_child() {
    if let Some(mut kept) = HELD.with_borrow_mut(Option::take) {
        *kept = Kept { said: VecDeque::new(), lost: 0 };
        ANY.store(false, Ordering::Release);
    }
    HANDING_OVER.set(false);
}
