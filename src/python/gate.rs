//! The way back into Python code, which is closed before the interpreter ends.
//!
//! An interpreter that ends (before Python 3.14) ends every other thread that comes to run Python
//! code, by unwinding its stack; Rust's frames on it abort the process. So at the end nobody else
//! may be on such a way.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use pyo3::prelude::*;

/// The thread that ends the interpreter.
static CLOSER: OnceLock<ThreadId> = OnceLock::new();
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How many milliseconds the end of the interpreter waits for a callback that does not end.
const PATIENCE: u32 = 1000;

struct Inside;

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Inside {
    /// `None` when the interpreter ends, for all but the thread that ends it.
    fn new() -> Option<Self> {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        let inside = Self;
        let open = CLOSER.get().is_none_or(|closer| *closer == thread::current().id());
        open.then_some(inside)
    }
}

/// For a thread of ours: runs `work` in Python; `None` when the interpreter ends, or is gone.
pub(super) fn enter<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let _inside = Inside::new()?;
    Python::try_attach(work)
}

/// For a thread of Python's: runs a function of the user. When the interpreter ends the thread
/// stops here, as those that want the interpreter do.
pub(super) fn call<T>(py: Python<'_>, function: impl FnOnce() -> T) -> T {
    let Some(_inside) = Inside::new() else {
        py.detach(|| {
            loop {
                thread::park();
            }
        })
    };
    function()
}

/// Lets nobody in any more, and waits until all are out.
pub(super) fn close(py: Python<'_>) -> PyResult<()> {
    let _ = CLOSER.set(thread::current().id());
    let sleep = py.import("time")?.getattr("sleep")?;
    for _ in 0..PATIENCE {
        if INSIDE.load(Ordering::SeqCst) == 0 {
            break;
        }
        sleep.call1((0.001,))?;
    }
    Ok(())
}

/// In a forked child: those inside are the parent's.
pub(super) fn after_fork_in_child() {
    INSIDE.store(0, Ordering::SeqCst);
}
