//! Whether the wall clock can be believed before something is deleted for its age.
//!
//! A clock may be set: by ten years, by mistake, or back. What is old by such a clock may be young.
//! So at each check the time that the clock says went by is compared with the time that did, by
//! the machine's own count since it was started. If they differ, nothing is deleted before the
//! clock has gone on for as long as things are kept: then they are that old in any case.

use crate::env::Env;
use crate::types::Timestamp;

/// Clocks are corrected by less all the time, in milliseconds.
const LEAST: i64 = 3_600_000;

/// How long a clock is doubted that may have been right, in milliseconds.
const DAY: i64 = 24 * LEAST;

/// A moment by both clocks, read at once: what goes by in between looks like a jump. Times are in
/// milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(super) wall: Timestamp,
    /// Since the machine was started, also while it slept.
    pub(super) uptime: i64,
    /// Names this start of the machine.
    pub(super) boot: i64,
}

impl Moment {
    /// This moment, in which the wall clock shows `wall`.
    pub(super) fn of(env: &Env, wall: Timestamp) -> Self {
        let uptime = i64::try_from(env.clock.uptime().as_millis()).unwrap_or(i64::MAX);
        let boot = i64::from(crc32c::crc32c(env.storage.boot_id().as_bytes()));
        Self { wall, uptime, boot }
    }
}

/// What was noted at a check. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) wall: Timestamp,
    /// As in [`Moment`].
    pub(super) uptime: i64,
    pub(super) boot: i64,
    /// By the wall clock: nothing is deleted before.
    pub(super) hold: Timestamp,
}

impl Check {
    /// The present, with nothing known of before.
    pub(super) fn at(Moment { wall, uptime, boot }: Moment) -> Self {
        Self { wall, uptime, boot, hold: 0 }
    }

    /// `None` for bytes of an earlier version, and where nothing was noted yet: what is noted behind
    /// them makes the file longer.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let words = bytes.first_chunk::<32>()?.as_chunks::<8>().0;
        let word = |index: usize| words.get(index).map(|word| i64::from_be_bytes(*word));
        let noted = Self { wall: word(0)?, uptime: word(1)?, boot: word(2)?, hold: word(3)? };
        (noted != Self::default()).then_some(noted)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [self.wall, self.uptime, self.boot, self.hold]
            .into_iter()
            .flat_map(i64::to_be_bytes)
            .collect()
    }

    /// This check with its `hold`, decided by the one before, where things are kept for
    /// `retention`.
    pub(super) fn after(self, before: Option<Self>, retention: i64) -> Self {
        let Some(before) = before else { return self };
        let hold = |time: i64| self.wall.saturating_add(time.min(retention));
        let went_by = self.wall.saturating_sub(before.wall);
        let bound = LEAST.min(retention / 10);
        let kept = Self { hold: before.hold, ..self };
        if before.boot == self.boot {
            let drift = went_by.saturating_sub(self.uptime.saturating_sub(before.uptime));
            let jumped = drift.saturating_abs() > bound;
            return if jumped { Self { hold: hold(retention), ..self } } else { kept };
        }
        if went_by < -bound {
            return Self { hold: hold(retention), ..self };
        }
        // The machine may have been off for so long, so this is doubted once.
        let doubted = before.hold != 0 && before.hold <= self.wall;
        if went_by > retention && !doubted { Self { hold: hold(DAY), ..self } } else { kept }
    }

    /// Whether something may be deleted.
    pub(super) fn is_believed(&self) -> bool {
        self.wall >= self.hold
    }
}

/// Differences between two looks that mean nothing, in milliseconds.
const NOISE: i64 = 20;

/// The same for logs, of which each has its own time for which it keeps records: when the clock
/// was last seen to jump, and how far. Times are in milliseconds, 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubts {
    pub(super) wall: Timestamp,
    pub(super) uptime: i64,
    pub(super) boot: i64,
    /// It jumped by more than an hour.
    far: Timestamp,
    /// It jumped by less, and by how much.
    near: Timestamp,
    near_by: i64,
    /// The machine was off, or the clock jumped while it was.
    off: Timestamp,
    off_for: i64,
}

impl Doubts {
    /// Bytes of what is noted.
    pub(super) const LEN: usize = 64;

    /// The present, with nothing known of before.
    pub(super) fn at(Moment { wall, uptime, boot }: Moment) -> Self {
        Self { wall, uptime, boot, ..Self::default() }
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let words = bytes.first_chunk::<{ Self::LEN }>()?.as_chunks::<8>().0;
        let mut words = words.iter().map(|word| i64::from_be_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        let noted = Self {
            wall: word(),
            uptime: word(),
            boot: word(),
            far: word(),
            near: word(),
            near_by: word(),
            off: word(),
            off_for: word(),
        };
        (noted != Self::default()).then_some(noted)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { wall, uptime, boot, far, near, near_by, off, off_for } = *self;
        [wall, uptime, boot, far, near, near_by, off, off_for]
            .into_iter()
            .flat_map(i64::to_be_bytes)
            .collect()
    }

    /// The present, with what it and the look before it say of the clock.
    pub(super) fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let Self { wall, uptime, boot, .. } = self;
        let mut now = Self { wall, uptime, boot, ..before };
        let went_by = wall.saturating_sub(before.wall);
        if boot == before.boot {
            now.jumped(went_by.saturating_sub(uptime.saturating_sub(before.uptime)));
        } else if went_by < 0 {
            now.jumped(went_by);
        } else {
            now.was_off(went_by);
        }
        now
    }

    fn jumped(&mut self, by: i64) {
        let by = by.saturating_abs();
        let is_over = self.wall >= self.near.saturating_add(self.near_by.saturating_mul(10));
        if by > LEAST {
            self.far = self.wall;
        } else if by > NOISE && (by >= self.near_by || is_over || self.wall < self.near) {
            (self.near, self.near_by) = (self.wall, by);
        }
    }

    /// Only a longer time than any before is doubted: some machines are off most of the time.
    fn was_off(&mut self, time: i64) {
        if time > self.off_for {
            (self.off, self.off_for) = (self.wall, time);
        }
    }

    /// Whether what is as old by the clock as `retention` may be deleted.
    pub(super) fn allow(&self, retention: i64) -> bool {
        let is_over =
            |since: Timestamp, time: i64| since == 0 || self.wall >= since.saturating_add(time);
        is_over(self.far, retention)
            && (self.near_by <= retention / 10 || is_over(self.near, retention))
            && (self.off_for <= retention || is_over(self.off, retention.min(DAY)))
    }

    /// Whether the clock was found wrong by much since `before`.
    pub(super) fn is_worth_a_warning(&self, before: &Self) -> bool {
        self.far != before.far || (self.off != before.off && self.off_for > DAY)
    }
}

#[cfg(test)]
mod doubts_tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const WEEK: i64 = 7 * DAY;
    const YEARS: i64 = 3_650 * DAY;
    /// When nothing was wrong yet.
    const BEGAN: i64 = 20_000 * DAY;

    fn began() -> Doubts {
        Doubts::at(Moment { wall: BEGAN, uptime: 0, boot: 1 })
    }

    /// A look so much later, by a clock that is so much ahead, in that start of the machine.
    fn look(before: Doubts, time: i64, ahead: i64, boot: i64) -> Doubts {
        let wall = BEGAN + time + ahead;
        Doubts::at(Moment { wall, uptime: time, boot }).after(Some(before))
    }

    #[test]
    fn no_check_was_noted_where_only_doubts_are() {
        let file = [vec![0; 32], began().bytes()].concat();

        assert_eq!(Check::parse(&file), None);
        assert!(Check::parse(&Check { wall: 1, ..Check::default() }.bytes()).is_some());
    }

    #[test]
    fn doubts_come_back_from_their_bytes() {
        let doubts = Doubts { far: 4, near: 5, near_by: 6, off: 7, off_for: 8, ..began() };

        assert_eq!(Doubts::parse(&doubts.bytes()), Some(doubts));
        assert_eq!(Doubts::parse(&doubts.bytes()[1..]), None);
        assert_eq!(Doubts::parse(&[0; Doubts::LEN]), None);
    }

    #[test]
    fn a_clock_that_goes_on_as_time_does_allows_everything() {
        let later = look(look(began(), DAY, 0, 1), 9 * DAY, 15, 1);

        assert!([0, 1, HOUR, WEEK].map(|time| later.allow(time)).iter().all(|allowed| *allowed));
    }

    #[test]
    fn after_a_jump_each_log_waits_for_as_long_as_it_keeps_records() {
        for ahead in [YEARS, -DAY] {
            let jumped = look(began(), 10, ahead, 1);
            for time in [HOUR, WEEK] {
                assert!(!jumped.allow(time), "{ahead}");
                assert!(!look(jumped, 9 + time, ahead, 1).allow(time), "{ahead}");
                assert!(look(jumped, 10 + time, ahead, 1).allow(time), "{ahead}");
            }
            // Also over a restart of the machine.
            assert!(!look(jumped, 9 + WEEK, ahead, 2).allow(WEEK), "{ahead}");
            // And when it is put right.
            let right = look(jumped, 20, 0, 1);
            assert!(!right.allow(HOUR), "{ahead}");
            assert!(look(right, 20 + HOUR, 0, 1).allow(HOUR), "{ahead}");
        }
    }

    #[test]
    fn a_small_jump_is_none_for_a_log_that_keeps_records_for_long() {
        let jumped = look(began(), 10, 60_000, 1);

        assert!(jumped.allow(WEEK) && jumped.allow(600_000));
        assert!(!jumped.allow(599_999));
        assert!(look(jumped, 600_010, 60_000, 1).allow(599_999));
    }

    #[test]
    fn a_machine_that_was_off_for_long_is_doubted_once_and_for_a_day() {
        let restarted = look(began(), 30 * DAY, 0, 2);
        assert!(!restarted.allow(WEEK) && restarted.allow(30 * DAY));
        assert!(!look(restarted, 31 * DAY - 1, 0, 2).allow(WEEK));
        assert!(look(restarted, 31 * DAY, 0, 2).allow(WEEK));

        let again = look(look(restarted, 31 * DAY, 0, 2), 60 * DAY, 0, 3);

        assert!(again.allow(WEEK));
    }

    #[test]
    fn a_short_restart_does_not_use_up_the_doubt() {
        let restarted = look(began(), 60_000, 0, 2);
        assert!(restarted.allow(WEEK));

        let ahead = look(restarted, 2 * DAY, YEARS, 3);

        assert!(!ahead.allow(WEEK));
        assert!(look(ahead, 3 * DAY, YEARS, 3).allow(WEEK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: i64 = 7 * DAY;
    const YEARS: i64 = 3_650 * DAY;

    fn check(wall: i64, uptime: i64, boot: i64) -> Check {
        Check { wall, uptime, boot, hold: 0 }
    }

    #[test]
    fn a_check_comes_back_from_its_bytes() {
        let check = Check { wall: 1, uptime: 2, boot: -3, hold: 4 };

        assert_eq!(Check::parse(&check.bytes()), Some(check));
        assert_eq!(Check::parse(&check.bytes()[..31]), None);
    }

    #[test]
    fn a_clock_is_believed_that_goes_on_as_time_does() {
        let first = check(DAY, 0, 1).after(None, WEEK);
        let later = check(9 * DAY, 8 * DAY, 1).after(Some(first), WEEK);
        let corrected = check(10 * DAY + LEAST, 9 * DAY, 1).after(Some(later), WEEK);

        assert!(first.is_believed() && later.is_believed() && corrected.is_believed());
    }

    #[test]
    fn after_a_jump_nothing_is_deleted_for_as_long_as_things_are_kept() {
        for jump in [YEARS, -DAY] {
            let first = check(20 * DAY, 0, 1);
            let jumped = check(20 * DAY + jump, 10, 1).after(Some(first), WEEK);
            let almost = check(27 * DAY + jump - 1, WEEK, 1).after(Some(jumped), WEEK);
            let after = check(27 * DAY + jump, WEEK + 1, 1).after(Some(almost), WEEK);

            assert!(!jumped.is_believed() && !almost.is_believed(), "{jump}");
            assert!(after.is_believed(), "{jump}");
        }
    }

    #[test]
    fn a_restart_of_the_machine_does_not_end_the_doubt() {
        let jumped = check(20 * DAY + YEARS, 10, 1).after(Some(check(20 * DAY, 0, 1)), WEEK);

        let restarted = check(21 * DAY + YEARS, 5, 2).after(Some(jumped), WEEK);

        assert!(!restarted.is_believed());
    }

    #[test]
    fn a_clock_that_was_right_again_is_believed_in_the_end() {
        let wrong = check(20 * DAY + YEARS, 10, 1).after(Some(check(20 * DAY, 0, 1)), WEEK);
        let right = check(20 * DAY + 20, 20, 1).after(Some(wrong), WEEK);
        let later = check(27 * DAY + 20, WEEK + 20, 1).after(Some(right), WEEK);

        assert!(!right.is_believed());
        assert!(later.is_believed());
    }

    #[test]
    fn a_machine_that_was_off_for_long_is_doubted_once() {
        let first = check(DAY, 0, 1);
        let second = check(31 * DAY, 0, 2).after(Some(first), WEEK);
        let third = check(61 * DAY, 0, 3).after(Some(second), WEEK);

        assert!(!second.is_believed());
        assert!(third.is_believed());
    }
}
