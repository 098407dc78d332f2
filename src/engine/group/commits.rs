//! What a group puts into `__consumer_offsets`: its commits, and itself.

use super::Group;
use super::offsets::{despite_deletion, or_gone};
use crate::coord::group::{Refused, State};
use crate::coord::offsets::{Expiry, Offsets};
use crate::coord::schema;
use crate::env::point::point;
use crate::error::{Error, Result};
use crate::types::{OffsetAndMetadata, Timestamp, TopicPartition};

impl Group {
    /// Commits offsets without being a member, which is allowed while there are none. After `Ok`
    /// they are on stable storage, and so is every record below them.
    pub fn commit(&self, offsets: &[(TopicPartition, OffsetAndMetadata)]) -> Result<()> {
        let commit = || self.commit_if(offsets, State::may_commit_alone);
        match commit() {
            // Members that died are none.
            Err(Error::CommitFailed { .. }) if self.sweep_if_free()? => commit(),
            done => done,
        }
    }

    /// Nobody can become or cease to be an owner between the question and the append.
    pub(super) fn commit_if(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
        allowed: impl Fn(&State) -> Result<(), Refused>,
    ) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        self.engine.shared.check_fork()?;
        despite_deletion(|| self.commit_once(offsets, &allowed))
    }

    fn commit_once(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
        allowed: impl Fn(&State) -> Result<(), Refused>,
    ) -> Result<()> {
        let prepared = self.engine.prepare_commit(self.id(), offsets)?;
        point("commit.prepared");
        let end = {
            let turn = self.core.turn()?;
            point("commit.locked");
            let state = self.current(&turn)?;
            allowed(&state).map_err(|refused| self.refuse(refused))?;
            let end = prepared.append_if(&|| self.engine.check_topics(offsets))?;
            point("commit.appended");
            end
        };
        point("commit.unlocked");
        prepared.sync(end)?;
        point("commit.synced");
        Ok(())
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
        let value = schema::encode_group_value(&metadata);
        let record = (schema::encode_group_key(self.id()), Some(value));
        let append = || self.engine.prepare_records(self.id(), [record.clone()])?.append();
        if let Err(error) = despite_deletion(append) {
            log::warn!("generation of group {:?} could not be noted: {error}", self.id());
        }
    }

    /// Takes away what has expired by `now`; gives how many offsets that were. Nobody can become a
    /// member meanwhile.
    pub(crate) fn expire(&self, now: Timestamp) -> Result<usize> {
        // Members that died are none.
        self.sweep(self.engine.env().clock.monotonic())?;
        let retention = self.engine.config().offsets_retention.as_millis();
        let retention = i64::try_from(retention).unwrap_or(i64::MAX);
        let turn = self.core.turn()?;
        self.engine.shared.check_open()?;
        let state = self.current(&turn)?;
        if !state.is_assigned() {
            return Ok(0);
        }
        let topics = state.leader().map(|_| state.topics());
        let look = |records: &Offsets| records.expiry(self.id(), topics.as_ref(), now, retention);
        let records = match self.engine.group_records(self.id(), look)? {
            None | Some(Expiry::Nothing) => return Ok(0),
            Some(Expiry::NoteEmpty) => {
                let value = schema::encode_group_value(&state.metadata(now));
                vec![(schema::encode_group_key(self.id()), Some(value))]
            }
            Some(Expiry::Offsets(partitions, ends)) => {
                Offsets::tombstones(self.id(), &partitions, ends)
            }
        };
        point("expire.decided");
        let prepared = self.engine.prepare_each(self.id(), &records);
        or_gone(prepared.and_then(|prepared| prepared.append()))?;
        point("expire.appended");
        Ok(records.iter().filter(|(_, value)| value.is_none()).count())
    }
}
