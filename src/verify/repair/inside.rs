//! Corrects what stands in a log, and takes note of what does not.

use std::path::Path;

use crate::env::Access;
use crate::error::{At, Result};
use crate::log::files;
use crate::log::recovery::gaps::{self, Gap};
use crate::log::scan::{Check, Found, Scan};
use crate::verify::repair::{Repair, behind, folder};

/// Where in a batch its leader epoch stands, which the checksum does not cover.
const LEADER_EPOCH: u64 = 12;

impl Repair<'_> {
    /// Writes the leader epoch into the batches from one position to another, of which a copy is
    /// kept.
    pub(super) fn stamp(
        &mut self,
        path: &Path,
        shown: &Path,
        (from, to): (u64, u64),
        epoch: i32,
    ) -> Result<()> {
        let file = self.storage().open(path, Access::Update).at("open", path)?;
        let aside = behind(path, &format!(".{}-{from}", files::EPOCHS));
        let aside = self.keep_bytes(&*file, path, (from, to), &aside)?;
        let mut scan = Scan::new(&*file, path, from, to, Check::Checksums);
        let mut batches = 0;
        loop {
            let position = scan.position();
            let Found::Batch(_) = scan.next()? else { break };
            file.write_at(position + LEADER_EPOCH, &epoch.to_be_bytes()).at("write", path)?;
            batches += 1;
        }
        file.sync_data().at("sync", path)?;
        let kept = self.task.name(&aside);
        self.done(
            shown,
            format!(
                "leader epoch {epoch} written into {batches} batches from position {from} on; as \
                 they were they are in {}",
                kept.display()
            ),
        );
        Ok(())
    }

    /// Takes note of offsets that are missing: nobody is told of them again.
    pub(super) fn accept(&mut self, path: &Path, shown: &Path, new: &[Gap]) -> Result<()> {
        let storage = self.storage().clone();
        let dir = folder(path);
        let mut known = gaps::read_known(&*storage, dir)?;
        known.extend(new);
        gaps::write_known(&*storage, dir, &known)?;
        let missing: Vec<String> =
            new.iter().take(3).map(|(from, to)| format!("{from} to {}", to - 1)).collect();
        let more = if new.len() > missing.len() { ", ..." } else { "" };
        let message = format!(
            "noted in {} that offsets {}{more} are missing",
            files::MISSING,
            missing.join(", ")
        );
        self.done(shown, message);
        Ok(())
    }
}
