//! Calls that are made to fail.

use std::io;

/// A kind of call that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the methods of `Storage`, `File`, `Lock` and `RecordLock`
pub enum Call {
    Open,
    Rename,
    /// Of files and folders.
    Remove,
    List,
    CreateDir,
    OpenDir,
    SyncDir,
    /// The making of a lock of either kind.
    Lock,
    /// The taking of a lock of either kind.
    Acquire,
    Map,
    Read,
    Write,
    /// `len` and `status`.
    Status,
    SetLen,
    SyncData,
}

/// How often a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// One time; the next call of the kind may succeed.
    Once,
    /// From then on each time.
    Forever,
}

/// The failures that one process is going to see.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    calls: u64,
    plans: Vec<Plan>,
}

#[derive(Clone, Debug)]
struct Plan {
    /// Any, if `None`.
    call: Option<Call>,
    /// Calls until the one that fails; 0 when it is over.
    left: u64,
    error: io::ErrorKind,
    repeat: Repeat,
}

impl Faults {
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    pub(super) fn plan(
        &mut self,
        call: Option<Call>,
        n: u64,
        error: io::ErrorKind,
        repeat: Repeat,
    ) {
        self.plans.push(Plan { call, left: n, error, repeat });
    }

    pub(super) fn heal(&mut self) {
        self.plans.clear();
    }

    /// Counts a call, and tells whether it fails.
    pub(super) fn count(&mut self, call: Call) -> io::Result<()> {
        self.calls += 1;
        let mut result = Ok(());
        for plan in &mut self.plans {
            if plan.hits(call) {
                result = Err(plan.error.into());
            }
        }
        result
    }
}

impl Plan {
    fn hits(&mut self, call: Call) -> bool {
        if self.left == 0 || self.call.is_some_and(|planned| planned != call) {
            return false;
        }
        let hit = self.left == 1;
        if !hit || self.repeat == Repeat::Once {
            self.left -= 1;
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of six reads fail.
    fn failing(faults: &mut Faults) -> Vec<usize> {
        (1..=6).filter(|_| faults.count(Call::Read).is_err()).collect()
    }

    #[test]
    fn a_single_failure_comes_at_its_call_only() {
        let mut faults = Faults::default();
        faults.plan(None, 3, io::ErrorKind::StorageFull, Repeat::Once);

        assert_eq!(failing(&mut faults), [3]);
        assert_eq!(faults.calls(), 6);
    }

    #[test]
    fn a_lasting_failure_goes_on_until_it_is_healed() {
        let mut faults = Faults::default();
        faults.plan(None, 4, io::ErrorKind::StorageFull, Repeat::Forever);

        assert_eq!(failing(&mut faults), [4, 5, 6]);
        faults.heal();
        assert_eq!(failing(&mut faults), [0; 0]);
    }

    #[test]
    fn a_failure_of_one_kind_of_call_counts_that_kind() {
        let mut faults = Faults::default();
        faults.plan(Some(Call::Write), 2, io::ErrorKind::StorageFull, Repeat::Once);

        assert_eq!(failing(&mut faults), [0; 0]);
        assert!(faults.count(Call::Write).is_ok());
        assert!(faults.count(Call::Read).is_ok());
        assert_eq!(
            faults.count(Call::Write).map_err(|error| error.kind()),
            Err(io::ErrorKind::StorageFull)
        );
    }
}
