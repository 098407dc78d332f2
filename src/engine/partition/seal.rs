//! The end of the active segment before its time: what is in it may then be compacted.

use crate::engine::partition::Partition;
use crate::error::{Error, Result};

impl Partition {
    /// Begins a new segment, if the active one holds anything; gives whether it did. After `Ok`
    /// what was in it is on stable storage.
    pub fn seal(&self) -> Result<bool> {
        if self.shared.read_only {
            return Err(Error::ReadOnly(self.shared.dir.clone()));
        }
        self.ready()?;
        let sealed = self.unless_deleted(self.seal_in_turn());
        self.rest();
        sealed
    }

    fn seal_in_turn(&self) -> Result<bool> {
        let _turn = self.turn()?;
        self.may_go_on()?;
        let tail = self.page.tail();
        if tail.end_position == 0 {
            return Ok(false);
        }
        let active = self.active(tail.segment_base)?;
        self.roll(&active, tail)?;
        Ok(true)
    }
}
