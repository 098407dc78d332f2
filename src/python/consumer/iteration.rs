//! What an iteration has polled and not handed out yet.

use std::collections::VecDeque;
use std::vec::IntoIter;

use pyo3::prelude::*;

use crate::client::{Consumer, Polled};
use crate::python::consumer::polled::{Failed, Made};
use crate::python::consumer::record::ConsumerRecord;

/// The records of a poll on their way to a `for` loop.
///
/// The client's positions follow lazily: [`settle`](Self::settle) must come before anything that
/// looks at them. What was not handed out when the client is asked for more, it gives again.
/// What is taken out is given back to be dropped under no lock: the drop of a user's object may
/// run Python.
#[derive(Default)]
pub(super) struct Iteration {
    waiting: VecDeque<Polled>,
    current: Option<Current>,
}

struct Current {
    polled: Polled,
    records: IntoIter<Py<ConsumerRecord>>,
    /// One past the last record that was handed out.
    next_offset: Option<i64>,
    failed: Option<Failed>,
}

/// What comes next.
pub(super) enum Next {
    Record(Py<ConsumerRecord>),
    /// This batch's records are to be made, and given to [`Iteration::begin`].
    Batch(Polled),
    Failed(Failed),
    /// Everything was handed out.
    Nothing,
}

impl Iteration {
    pub(super) fn fill(&mut self, polled: Vec<Polled>) {
        self.waiting.extend(polled);
    }

    pub(super) fn begin(&mut self, polled: Polled, made: Made) {
        let Made { records, failed } = made;
        self.current =
            Some(Current { polled, records: records.into_iter(), next_offset: None, failed });
    }

    /// The next record, if it is made already.
    #[inline]
    pub(super) fn ready(&mut self) -> Option<Py<ConsumerRecord>> {
        let current = self.current.as_mut()?;
        let record = current.records.next()?;
        current.next_offset = record.get().log_offset().map(|offset| offset + 1);
        Some(record)
    }

    pub(super) fn next(&mut self, client: &Consumer) -> Next {
        loop {
            let Some(current) = &mut self.current else {
                return self.waiting.pop_front().map_or(Next::Nothing, Next::Batch);
            };
            if let Some(record) = current.records.next() {
                current.next_offset = record.get().log_offset().map(|offset| offset + 1);
                return Next::Record(record);
            }
            let failed = current.failed.take();
            let end = failed.as_ref().map_or(current.polled.next_offset(), |failed| failed.offset);
            client.consumed(&current.polled, end);
            self.current = None;
            if let Some(failed) = failed {
                self.waiting.clear();
                return Next::Failed(failed);
            }
        }
    }

    /// Tells the client how far the user got.
    pub(super) fn settle(&self, client: &Consumer) {
        if let Some(current) = &self.current
            && let Some(offset) = current.next_offset
        {
            client.consumed(&current.polled, offset);
        }
    }

    /// Takes out what may not be handed out any more: sought, paused or revoked.
    pub(super) fn take_stale(&mut self, client: &Consumer) -> Self {
        self.settle(client);
        let mut stale = Self::default();
        if self.current.as_ref().is_some_and(|current| !client.is_current(&current.polled)) {
            stale.current = self.current.take();
        }
        let (kept, gone) = self.waiting.drain(..).partition(|polled| client.is_current(polled));
        (self.waiting, stale.waiting) = (kept, gone);
        stale
    }

    /// Takes out everything.
    pub(super) fn take_all(&mut self, client: &Consumer) -> Self {
        self.settle(client);
        std::mem::take(self)
    }
}
