//! What is said of bytes of a log that are no batch of their place.

use std::path::Path;

use crate::error::Result;
use crate::log::files;
use crate::log::recovery::{self, Trust};
use crate::verify::Outcome;
use crate::verify::finding::{Finding, Severity};
use crate::verify::fix::Fix;
use crate::verify::names::Place;
use crate::verify::segment::Log;
use crate::verify::standing::User;
use crate::verify::walk::{Damage, Seen};

impl Log<'_> {
    pub(super) fn report_damage(
        &mut self,
        seen: &Seen,
        place: Place,
        end: u64,
        bound: Option<i64>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let Some(first) = seen.damage.first() else { return Ok(()) };
        let path = &self.site.name(&files::path(&self.site.dir, place.name, files::LOG));
        let cut_from = self.cut_from(place.name, bound)?;
        let fix = Fix::Split { position: first.position, runs: seen.behind_damage() };
        // A file gets its name back before anything is taken out of it.
        let is_named = place.name == place.base;
        let mut fix = Some(fix).filter(|_| is_named && !self.site.standing.in_use());
        for damage in &seen.damage {
            let is_end = damage.to == end;
            let is_tail = is_end && bound.is_none();
            let is_room = is_end && damage.zeros && bound.is_none_or(|bound| bound == damage.due);
            let is_room = is_room && damage.due >= self.site.standing.recovery_point;
            let mut found = if is_room {
                room(damage, path)
            } else {
                let is_cut = cut_from.is_some_and(|from| damage.position >= from);
                self.damage(damage, path, is_tail, is_cut, bound)
            };
            found.fix = fix.take();
            if is_room && found.fix.is_some() {
                // The next to open the directory looks at the last segment, and no other.
                found.fix = (!is_tail).then_some(Fix::Room(damage.position));
            }
            self.damaged |= found.is_damage();
            outcome.findings.add(found);
        }
        Ok(())
    }

    /// From where on the next to use the log cuts it at what is bad and was not known to be synced.
    fn cut_from(&self, base: i64, bound: Option<i64>) -> Result<Option<u64>> {
        let site = self.site;
        match site.standing.trust {
            Trust::Machine => Ok(Some(0)),
            Trust::Process if bound.is_none() => {
                recovery::walked_from(&site.task.env.storage, &site.dir, base).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn damage(
        &self,
        damage: &Damage,
        path: &Path,
        is_tail: bool,
        is_cut: bool,
        bound: Option<i64>,
    ) -> Finding {
        let standing = &self.site.standing;
        let Damage { position, to, what, due, .. } = *damage;
        let bytes = to - position;
        let what = if damage.zeros { "zeros".to_owned() } else { what.to_string() };
        let found = |severity, code, message: String| {
            Finding::new(severity, code, path, message).at(position).of(due)
        };
        if is_tail && standing.user == User::Broker {
            let what = format!("the last {bytes} bytes are no whole batch yet: a broker writes");
            return found(Severity::Note, "being-written", what);
        }
        let is_unsynced = standing.tolerates(due);
        let is_cut = is_cut && is_unsynced;
        if is_tail && is_cut {
            let what = format!(
                "the last {bytes} bytes are no whole batch ({what}): they were being written when \
                 the processes or the machine died, and are cut when the directory is next opened"
            );
            return found(Severity::Note, "torn-tail", what);
        }
        let lost = lost(damage, bound);
        let message = format!("{bytes} bytes are no batch of this place ({what}): {lost}");
        if is_cut {
            let message = format!(
                "{message}; it was not closed, and opening it cuts the log at offset {due}"
            );
            return found(Severity::Warning, "damaged-batch", message)
                .remedy("run verify with --repair before it is opened: that keeps what is behind");
        }
        let message = if is_unsynced {
            format!(
                "{message}; opening the directory does not cut it: its processes died, the machine \
                 did not, and so only the ends of logs are looked at"
            )
        } else {
            message
        };
        let code = if is_tail { "damaged-tail" } else { "damaged-batch" };
        found(Severity::Error, code, message).remedy(
            "put the file back from a copy, or run verify with --repair: that keeps all other \
             batches, and these bytes in a file beside",
        )
    }
}

/// Zeros behind the log, as `preallocate` puts them there.
fn room(damage: &Damage, path: &Path) -> Finding {
    let what = format!(
        "{} zeros behind the last batch: room for what would have come next, which the next to \
         open the directory gives back",
        damage.to - damage.position
    );
    Finding::note("room", path, what).at(damage.position).of(damage.due)
}

/// Which offsets are gone with it.
fn lost(damage: &Damage, bound: Option<i64>) -> String {
    match damage.next.or(bound) {
        Some(next) if next > damage.due => {
            format!("offsets {} to {} are lost", damage.due, next - 1)
        }
        Some(_) => "no offset is lost".to_owned(),
        None => format!("what it held from offset {} on is lost", damage.due),
    }
}
