//! What a group puts into `__consumer_offsets`: its commits, and itself.

use super::Group;
use crate::coord::group::{Refused, State};
use crate::coord::schema;
use crate::error::Result;
use crate::types::{OffsetAndMetadata, TopicPartition};

impl Group {
    /// Commits offsets without being a member, which is allowed while there are none. After `Ok`
    /// they are on stable storage, and so is every record below them.
    pub fn commit(&self, offsets: &[(TopicPartition, OffsetAndMetadata)]) -> Result<()> {
        self.commit_if(offsets, State::may_commit_alone)
    }

    /// Nobody can become or cease to be an owner between the question and the append.
    pub(super) fn commit_if(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
        allowed: impl FnOnce(&State) -> Result<(), Refused>,
    ) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        self.engine.shared.check_fork()?;
        let prepared = self.engine.prepare_commit(self.id(), offsets)?;
        let end = {
            let turn = self.core.turn()?;
            let state = self.current(&turn)?;
            allowed(&state).map_err(|refused| self.refuse(refused))?;
            prepared.append()?
        };
        prepared.sync(end)
    }

    /// The last generation that any process has noted.
    pub(super) fn last_generation(&self) -> Result<i32> {
        let noted =
            self.engine.group_records(self.id(), |records| records.generation(self.id()))?;
        Ok(noted.unwrap_or(0))
    }

    /// Notes a generation once it has its targets. The group goes on if it cannot be noted: what
    /// is lost is the number of the generation, if nobody is left who knows it.
    pub(super) fn note(&self, before: &State, after: &State) {
        if !after.is_news(before) {
            return;
        }
        let metadata = after.metadata(self.engine.env().clock.now());
        let record = (schema::encode_group_key(self.id()), schema::encode_group_value(&metadata));
        let prepared = self.engine.prepare_records(self.id(), [record]);
        if let Err(error) = prepared.and_then(|prepared| prepared.append()) {
            log::warn!("generation of group {:?} could not be noted: {error}", self.id());
        }
    }
}
