//! Telling of records that somebody must have removed.

use crate::engine::partition::Partition;
use crate::engine::topics;
use crate::engine::upkeep::compact;
use crate::error::Result;
use crate::log::checkpoint;
use crate::log::recovery::gaps::Gap;

impl Partition {
    /// Warns of missing offsets that no compaction explains. Nothing is done about them.
    pub(crate) fn tell_gaps(&self, gaps: &[Gap]) -> Result<()> {
        if gaps.is_empty() || self.was_compacted()? {
            return Ok(());
        }
        for (from, to) in gaps {
            log::warn!(
                "offsets {from} to {} of {} are missing: segments were removed from {}; put them \
                 back from a copy, or see `brokerless verify {}`",
                to - 1,
                self.id,
                self.dir.display(),
                self.shared.dir.display()
            );
        }
        Ok(())
    }

    /// Whether a compaction may have taken records out of it, a broker's too.
    fn was_compacted(&self) -> Result<bool> {
        let path = self.shared.dir.join(compact::CHECKPOINT);
        let cleaned = checkpoint::read_offsets(&*self.shared.env.storage, &path)?;
        let compacted = self.config().compacted || topics::is_internal(&self.id.topic);
        Ok(compacted || cleaned.contains_key(&self.id))
    }
}
