//! Where logs start: what may be deleted, and that nothing of it comes back.

use std::ops::Bound;

use crate::model::{Attempt, Model, Place, Wrong, check};
use crate::topics::{KEPT_BYTES, KEPT_MS};

impl Model {
    /// Somebody is about to delete what is before an offset.
    pub(crate) fn begin_delete_records(&mut self, place: &Place, before: i64) {
        let log = self.log_mut(place);
        log.free = log.free.max(before);
    }

    /// The log was told, or found, to start there, by a call that began when it was known to start
    /// at `gone`.
    pub(crate) fn see_start(&mut self, place: &Place, gone: i64, start: i64) -> Result<(), Wrong> {
        self.check_start(place, gone, start)?;
        let log = self.log_mut(place);
        let moved = log.gone < start;
        (log.gone, log.free) = (log.gone.max(start), log.free.max(start));
        self.counts.moved += u64::from(moved);
        Ok(())
    }

    /// Whether the log may start there.
    pub(crate) fn check_start(&self, place: &Place, gone: i64, start: i64) -> Result<(), Wrong> {
        check!(start >= gone, "{place} starts at {start}, and {gone} was deleted");
        let log = self.log(place);
        if start <= log.free {
            return Ok(());
        }
        check!(log.policy.limits(), "{place} starts at {start}: nobody may delete so much");
        let young = log.known.range(self.free_by_size(place).min(start)..start);
        let due = |it: &Attempt| self.now.saturating_sub(it.timestamp) > KEPT_MS;
        let young = young.map(|(at, (number, _))| (at, &self.attempts[*number as usize]));
        let young: Vec<_> = young.filter(|(_, attempt)| !due(attempt)).collect();
        check!(young.is_empty(), "{place} starts at {start}: {young:?} were not due");
        let first = log.known.get(&start).map(|(number, _)| &self.attempts[*number as usize]);
        let whole = log.policy.compacts() || first.is_none_or(|first| first.before == 0);
        check!(whole, "{place} starts at {start}, in the middle of a batch");
        Ok(())
    }

    /// What is before may go as far as its size is concerned.
    fn free_by_size(&self, place: &Place) -> i64 {
        let log = self.log(place);
        let mut behind: u64 = self.unplaced(place);
        let known = log.known.range((Bound::Included(log.free), Bound::Unbounded)).rev();
        for (offset, (number, _)) in known {
            behind += self.attempts[*number as usize].size;
            if behind >= KEPT_BYTES {
                return *offset;
            }
        }
        log.free
    }

    /// Bytes of what may be in the log, nobody knows where.
    fn unplaced(&self, place: &Place) -> u64 {
        let log = self.log(place);
        let all = self.attempts.iter().enumerate();
        let of = all.filter(|(_, it)| it.partition == *place && !it.failed && !it.missing);
        of.filter(|(number, _)| !log.placed.contains_key(&(*number as u64)))
            .map(|(_, it)| it.size)
            .sum()
    }

    /// Nobody is left who could append them: what is not there now was in no log when somebody
    /// judged its size. A power loss may bring it back, if nobody synced that it was cut off.
    pub(crate) fn forget_missing(&mut self, place: &Place) {
        let log = &self.logs[place];
        for (number, attempt) in self.attempts.iter_mut().enumerate() {
            let missing = !log.placed.contains_key(&(number as u64));
            attempt.missing |= missing && attempt.partition == *place;
        }
    }
}
