//! What to do around `fork`, for `os.register_at_fork`. A client made before it gives
//! [`Error::Forked`](crate::Error::Forked) in the child, which may open the directory anew.

use std::cell::RefCell;
use std::sync::MutexGuard;

use crate::client::registry::{self, Registry};
use crate::env::lock;

thread_local! {
    /// The registry, at rest while the process forks.
    static HELD: RefCell<Option<MutexGuard<'static, Registry>>> = const { RefCell::new(None) };
}

/// Call it in the thread that forks, before.
pub fn before() {
    let guard = registry::lock();
    HELD.with_borrow_mut(|held| *held = Some(guard));
    lock::before_fork();
}

/// Call it in the parent, afterwards.
pub fn after_in_parent() {
    lock::after_fork_in_parent();
    HELD.with_borrow_mut(Option::take);
}

/// Call it in the child, afterwards.
pub fn after_in_child() {
    lock::after_fork_in_child();
    if let Some(mut registry) = HELD.with_borrow_mut(Option::take) {
        // They are the parent's.
        registry.engines.clear();
        registry.senders.clear();
        registry.upkeeps.clear();
    }
}
