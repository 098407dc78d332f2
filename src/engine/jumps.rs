//! Whether the wall clock can be believed before something is deleted for its age.
//!
//! A clock may be set: by ten years, by mistake, or back. What is old by such a clock may be young.
//! So at each check the time that the clock says went by is compared with the time that did, by
//! the machine's own count since it was started. If they differ, nothing is deleted before the
//! clock has gone on for as long as things are kept: then they are that old in any case.

use crate::types::Timestamp;

/// Clocks are corrected by less all the time, in milliseconds.
const LEAST: i64 = 3_600_000;

/// How long a clock is doubted that may have been right, in milliseconds.
const DAY: i64 = 24 * LEAST;

/// What was noted at a check. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) wall: Timestamp,
    /// Since the machine was started, also while it slept.
    pub(super) uptime: i64,
    /// Names this start of the machine.
    pub(super) boot: i64,
    /// By the wall clock: nothing is deleted before.
    pub(super) hold: Timestamp,
}

impl Check {
    /// `None` for bytes of an earlier version.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let words = bytes.first_chunk::<32>()?.as_chunks::<8>().0;
        let word = |index: usize| words.get(index).map(|word| i64::from_be_bytes(*word));
        Some(Self { wall: word(0)?, uptime: word(1)?, boot: word(2)?, hold: word(3)? })
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
