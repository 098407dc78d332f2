//! What simulated processes do to have less in a directory.

use brokerless::engine::Partition;

use crate::model::Place;
use crate::program::{BOTH, COMPACTED, PASSING, PLAIN, Program, Session, WANING, hold};

impl Program<'_> {
    pub(crate) fn act_as_cleaner(&mut self, session: &mut Session) {
        match self.dice.below(100) {
            0..2 => self.create(&session.engine),
            2..4 => self.delete(&session.engine),
            4..8 => self.rest(),
            8..16 => {
                let now = self.judge();
                self.allow(session.engine.tend(now));
            }
            16 if self.has_faults() => self.disk.heal(),
            _ => {
                let names = [WANING, WANING, WANING, BOTH, BOTH, PLAIN, COMPACTED, PASSING[0]];
                let name = self.dice.pick(&names);
                self.clean_or_work(session, name);
            }
        }
    }

    fn clean_or_work(&mut self, session: &mut Session, name: &str) {
        if self.dice.below(4) > 0 {
            return self.work(session, name);
        }
        let Some((place, partition)) = self.find(&session.engine, name) else { return };
        match self.dice.below(6) {
            0 => self.delete_records(&place, &partition),
            1 => self.compact(&place, &partition),
            2 => drop(self.ends(&place, &partition)),
            _ => {
                let now = self.judge();
                self.allow_of(&place, partition.retain_if_due(now));
                self.ends(&place, &partition);
            }
        }
    }

    /// The time by which is judged what is due.
    fn judge(&self) -> i64 {
        let now = self.env.clock.now();
        let mut model = self.model();
        model.now = model.now.max(now);
        now
    }

    /// Where the log starts and ends.
    pub(crate) fn ends(&self, place: &Place, partition: &Partition) -> Option<(i64, i64)> {
        let gone = self.model().log(place).gone;
        let ends = self.allow_of(place, partition.ends())?;
        hold(self.model().see_start(place, gone, ends.log_start_offset));
        Some((ends.log_start_offset, ends.log_end_offset))
    }

    fn delete_records(&mut self, place: &Place, partition: &Partition) {
        if !self.model().log(place).policy.deletes() {
            return;
        }
        let Some((start, end)) = self.ends(place, partition) else { return };
        let before = start + self.dice.below((end - start) as usize + 1) as i64;
        self.model().begin_delete_records(place, before);
        let Some(start) = self.allow_of(place, partition.delete_records(before)) else { return };
        let mut model = self.model();
        hold(model.see_start(place, before, start));
        model.synced(place, before);
    }
}
