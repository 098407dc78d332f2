//! Sleeping on a word of memory until somebody changes it: a futex.
//!
//! The word may lie in a shared map, so that another process wakes us, or anywhere else. A wake-up
//! can get lost when the process that owes it is killed: waits that must end are short.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The word has, or may have, another value.
    Changed,
    /// The time is over.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// Sleeps while `word` is `expected`, until [`wake_all`], `timeout` or a signal.
///
/// `Changed` may come although nothing changed: look again.
pub fn wait(word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
    sys::wait(word, expected, timeout)
}

/// Wakes one of those that sleep on `word`.
pub fn wake_one(word: &AtomicU32) {
    sys::wake(word, 1);
}

/// Wakes all that sleep on `word`, in every process. One system call, also when nobody sleeps.
pub fn wake_all(word: &AtomicU32) {
    sys::wake(word, i32::MAX as u32);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod sys {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::thread::futex::{self, Flags, Timespec};

    use super::Woken;

    pub(super) fn wait(word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
        // Too long for the kernel's clock is as good as for ever.
        let timeout = Timespec::try_from(timeout).ok();
        // Not `PRIVATE`: the word may be shared with another process.
        match futex::wait(word, Flags::empty(), expected, timeout.as_ref()) {
            Err(Errno::TIMEDOUT) => Woken::TimedOut,
            Err(Errno::INTR) => Woken::Interrupted,
            _ => Woken::Changed,
        }
    }

    pub(super) fn wake(word: &AtomicU32, sleepers: u32) {
        // Fails only for an address that is not mapped, which a reference is not.
        let _ = futex::wake(word, Flags::empty(), sleepers);
    }
}

/// Where there is no futex: looking every millisecond.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod sys {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use rustix::thread::{NanosleepRelativeResult, Timespec, nanosleep};

    use super::Woken;
    use crate::env::Clock as _;
    use crate::env::clock::SystemClock;

    const LOOK: Duration = Duration::from_millis(1);

    pub(super) fn wait(word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
        let start = SystemClock.monotonic();
        loop {
            if word.load(Ordering::Acquire) != expected {
                return Woken::Changed;
            }
            let left = timeout.saturating_sub(SystemClock.monotonic().saturating_sub(start));
            if left.is_zero() {
                return Woken::TimedOut;
            }
            let nap = left.min(LOOK).subsec_nanos();
            let nap = Timespec { tv_sec: 0, tv_nsec: nap.into() };
            if let NanosleepRelativeResult::Interrupted(_) = nanosleep(&nap) {
                return Woken::Interrupted;
            }
        }
    }

    pub(super) fn wake(_word: &AtomicU32, _sleepers: u32) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_wait_ends_when_the_time_is_over() {
        let word = AtomicU32::new(7);

        assert_eq!(wait(&word, 7, Duration::from_millis(2)), Woken::TimedOut);
    }

    #[test]
    fn a_word_that_has_changed_already_is_not_waited_for() {
        let word = AtomicU32::new(8);

        assert_eq!(wait(&word, 7, LONG), Woken::Changed);
    }

    #[test]
    fn a_wait_of_the_longest_duration_is_a_wait() {
        let word = AtomicU32::new(8);

        assert_eq!(wait(&word, 7, Duration::MAX), Woken::Changed);
    }

    #[test]
    fn one_of_many_sleepers_can_be_woken() {
        let word = Arc::new(AtomicU32::new(0));
        let sleeper = {
            let word = Arc::clone(&word);
            thread::spawn(move || while wait(&word, 0, LONG) != Woken::Changed {})
        };

        while !sleeper.is_finished() {
            wake_one(&word);
            thread::yield_now();
        }

        sleeper.join().unwrap();
    }

    #[test]
    fn a_change_wakes_every_sleeper() {
        let word = Arc::new(AtomicU32::new(0));
        let sleepers: Vec<_> = (0..3)
            .map(|_| {
                let word = Arc::clone(&word);
                thread::spawn(move || {
                    while word.load(Ordering::Acquire) == 0 {
                        assert_ne!(wait(&word, 0, LONG), Woken::TimedOut);
                    }
                })
            })
            .collect();

        word.store(1, Ordering::Release);
        wake_all(&word);

        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    }
}
