//! Who is dead and who hangs, as one process sees it.
//!
//! A dead member's byte is free; a static one has noted when it last lived, by the machine's monotonic
//! clock. One that hangs has its byte still, and its heartbeat stands still: what counts then is how
//! long this process has looked on, for the whole machine may have been stopped.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::files::Files;
use crate::coord::group::{State, Uid};
use crate::error::Result;

/// The most that one look adds to a silence. An observer that was itself stopped, together with
/// those it observes, must not take its own absence for theirs.
const LOOK: Duration = Duration::from_millis(500);

/// What this process has seen of the members.
#[derive(Debug, Default)]
pub(super) struct Observer {
    looked: Option<Duration>,
    seen: HashMap<Uid, Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    beat: u32,
    /// For how long it has shown no sign of life.
    silent: Duration,
}

impl Observer {
    /// Looks at all members at monotonic time `now`, and gives those that are to be taken out.
    pub(super) fn look(
        &mut self,
        state: &State,
        files: &Files,
        now: Duration,
    ) -> Result<Vec<(Uid, &'static str)>> {
        let passed = self.looked.map_or(Duration::ZERO, |looked| now.saturating_sub(looked));
        let passed = passed.min(LOOK);
        self.looked = Some(now);
        self.seen.retain(|uid, _| state.member(*uid).is_some());
        let mut gone = Vec::new();
        for (uid, member) in state.members() {
            if files.is_dead(member, now)? {
                gone.push((uid, "it died"));
                continue;
            }
            let beat = files.beat(member.slot).load(Ordering::Relaxed);
            let known = self.seen.get(&uid).copied();
            let silent = match known {
                Some(seen) if seen.beat == beat => seen.silent + passed,
                _ => Duration::ZERO,
            };
            self.seen.insert(uid, Seen { beat, silent });
            if silent >= member.session_timeout {
                gone.push((uid, "no sign of life for its session timeout"));
            }
        }
        Ok(gone)
    }
}
