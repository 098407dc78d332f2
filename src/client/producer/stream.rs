//! Tells a stream of records from single ones, for the thread that sends them.
//!
//! In a stream the thread finds a few new records whenever it looks, or is woken as soon as it
//! sleeps. It does better to nap while they gather into a batch; who waits for one wakes it.

use std::time::Duration;

/// A longer sleep ends a stream.
const AT_ONCE: Duration = Duration::from_micros(20);
/// So many rounds without one make a stream.
const OFTEN: u32 = 4;
const NAP: Duration = Duration::from_micros(50);

/// How the thread's last rounds followed each other.
#[derive(Debug, Default)]
pub(super) struct Stream {
    rounds: u32,
}

impl Stream {
    /// There was work in this round.
    pub(super) fn worked(&mut self) {
        self.rounds = self.rounds.saturating_add(1);
    }

    /// The thread slept for `rest` until it was woken.
    pub(super) fn slept(&mut self, rest: Duration) {
        if rest >= AT_ONCE {
            self.rounds = 0;
        }
    }

    /// How long to nap after a round with work.
    pub(super) fn nap(&self) -> Option<Duration> {
        (self.rounds >= OFTEN).then_some(NAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_rounds(count: u32) -> Stream {
        let mut stream = Stream::default();
        for _ in 0..count {
            stream.slept(AT_ONCE / 2);
            stream.worked();
        }
        stream
    }

    #[test]
    fn single_records_are_sent_at_once() {
        assert_eq!(after_rounds(OFTEN - 1).nap(), None);
    }

    #[test]
    fn rounds_that_follow_at_once_make_a_stream() {
        assert_eq!(after_rounds(OFTEN).nap(), Some(NAP));
    }

    #[test]
    fn a_sleep_ends_a_stream() {
        let mut stream = after_rounds(OFTEN);

        stream.slept(AT_ONCE);
        stream.worked();

        assert_eq!(stream.nap(), None);
    }
}
