//! Positions and committed offsets of a consumer.

use std::collections::HashMap;
use std::sync::Arc;

use crate::client::consumer::Consumer;
use crate::client::consumer::assignment::{Position, Seek};
use crate::config::consumer::OffsetReset;
use crate::engine::topics::OFFSETS_TOPIC;
use crate::engine::{Partition, Place, TimedOffset};
use crate::error::{Error, Result};
use crate::types::{IsolationLevel, OffsetAndMetadata, Timestamp, TopicPartition};

type Offsets = Vec<(TopicPartition, OffsetAndMetadata)>;

/// A partition whose position is to be found.
struct Unknown {
    id: TopicPartition,
    partition: Arc<Partition>,
    seek: Seek,
}

impl Consumer {
    pub(super) fn group(&self) -> Option<&str> {
        self.config.group_id.as_deref()
    }

    fn need_group(&self) -> Result<&str> {
        self.group().ok_or(Error::IllegalState("committed offsets need a group_id"))
    }

    /// Finds the positions that are not known: by the group's committed offset, or by the rule.
    pub(super) fn find_positions(&self) -> Result<()> {
        self.find_unknown_positions()?;
        self.validate_positions()
    }

    fn find_unknown_positions(&self) -> Result<()> {
        let unknown = self.unknown_positions()?;
        if unknown.is_empty() {
            return Ok(());
        }
        let committed = match self.group() {
            Some(group) if unknown.iter().any(|u| u.seek == Seek::Committed) => {
                self.engine()?.committed_offsets(group)?
            }
            _ => HashMap::new(),
        };
        // One that fails, or that another process holds up, does not hold up the others.
        let (mut failed, mut held_up) = (Ok(()), Ok(()));
        for unknown in unknown {
            match self.find_position(&unknown, committed.get(&unknown.id)) {
                // It was deleted; the next look at the topics says more.
                Ok(()) | Err(Error::UnknownTopicOrPartition(_)) => {}
                Err(error @ Error::Timeout { .. }) => held_up = Err(error),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => failed = failed.and(Err(error.of(&unknown.id))),
            }
        }
        failed.and(held_up)
    }

    fn find_position(
        &self,
        unknown: &Unknown,
        committed: Option<&OffsetAndMetadata>,
    ) -> Result<()> {
        let Unknown { id, partition, seek } = unknown;
        let (position, committed) = match (seek, committed) {
            (Seek::Committed, Some(OffsetAndMetadata { offset, leader_epoch, .. })) => {
                let (offset, leader_epoch) = (*offset, *leader_epoch);
                let position = Position { offset, leader_epoch };
                (self.committed_within(partition, position)?, Some(offset))
            }
            (Seek::Committed, None) => {
                (self.by_rule(partition, self.config.auto_offset_reset)?, None)
            }
            (Seek::Reset(rule), _) => (self.by_rule(partition, *rule)?, None),
        };
        self.set_position(id, *seek, position, committed)
    }

    fn unknown_positions(&self) -> Result<Vec<Unknown>> {
        let state = self.state()?;
        let unknown = state.assignment.iter().filter_map(|assigned| {
            let seek = assigned.position.err()?;
            let partition = Arc::clone(assigned.partition.as_ref()?);
            Some(Unknown { id: assigned.id.clone(), partition, seek })
        });
        Ok(unknown.collect())
    }

    /// Unless the user went elsewhere meanwhile.
    fn set_position(
        &self,
        id: &TopicPartition,
        seek: Seek,
        position: Position,
        committed: Option<i64>,
    ) -> Result<()> {
        let mut state = self.state()?;
        let assigned = state.assignment.get_mut(id);
        if let Some(assigned) = assigned.filter(|assigned| assigned.position == Err(seek)) {
            assigned.seek(Ok(position));
            assigned.committed = committed.or(assigned.committed);
        }
        Ok(())
    }

    fn by_rule(&self, partition: &Partition, rule: OffsetReset) -> Result<Position> {
        let offset = match rule {
            OffsetReset::Earliest => partition.ends()?.log_start_offset,
            OffsetReset::Latest => self.end_of(partition)?,
            OffsetReset::None => return Err(Error::NoOffsetForPartition(partition.id().clone())),
            OffsetReset::ByDuration(age) => {
                let since = self.clock.now().saturating_sub(age.as_millis() as i64);
                let place = Place::Time(since.max(0));
                match partition.look_up(place, self.config.isolation_level)? {
                    Some(found) => found.offset,
                    None => self.end_of(partition)?,
                }
            }
        };
        Ok(Position { offset, leader_epoch: -1 })
    }

    /// Where this consumer's reading of a partition ends.
    pub(super) fn end_of(&self, partition: &Partition) -> Result<i64> {
        let ends = partition.ends()?;
        Ok(match self.config.isolation_level {
            IsolationLevel::ReadUncommitted => ends.log_end_offset,
            IsolationLevel::ReadCommitted => ends.last_stable_offset,
        })
    }

    /// The next offset that a poll gives of an assigned partition.
    pub fn position(&self, partition: &TopicPartition) -> Result<i64> {
        Ok(self.position_to_commit(partition)?.offset)
    }

    /// The same as it would be committed, with the leader epoch of the record before it.
    pub fn position_to_commit(&self, partition: &TopicPartition) -> Result<OffsetAndMetadata> {
        self.follow_assigned(partition)?;
        match self.find_positions() {
            Err(error) if error.partition().is_none_or(|it| it == partition) => return Err(error),
            // Of another one.
            Ok(()) | Err(_) => {}
        }
        match self.state()?.assignment.need(partition)?.position {
            Ok(position) => Ok(position.into()),
            Err(_) => Err(Error::UnknownTopicOrPartition(partition.clone())),
        }
    }

    /// A partition assigned by hand may have been made since.
    fn follow_assigned(&self, partition: &TopicPartition) -> Result<()> {
        let bound = self.state()?.assignment.need(partition)?.partition.is_some();
        let automatic = self.state()?.subscription.is_automatic();
        if bound || automatic { Ok(()) } else { self.follow().map(drop) }
    }

    /// What the group committed for a partition.
    pub fn committed(&self, partition: &TopicPartition) -> Result<Option<OffsetAndMetadata>> {
        let engine = self.engine()?;
        Ok(engine.committed_offsets(self.need_group()?)?.remove(partition))
    }

    /// Commits these offsets, or the positions of all assigned partitions. Gives what it
    /// committed; that is on stable storage then.
    ///
    /// A member of a group commits for partitions it owns, [`Error::CommitFailed`] or
    /// [`Error::RebalanceInProgress`] otherwise. Who is no member commits while the group has none.
    pub fn commit(
        &self,
        offsets: Option<&[(TopicPartition, OffsetAndMetadata)]>,
    ) -> Result<Offsets> {
        let group = self.need_group()?;
        let offsets = if let Some(offsets) = offsets {
            offsets.to_vec()
        } else {
            self.validate_positions()?;
            self.positions_to_commit(false)?
        };
        drop(self.state()?);
        self.commit_for(group, &offsets)?;
        Ok(offsets)
    }

    fn commit_for(
        &self,
        group: &str,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        match self.membership()? {
            Some(membership) => membership.commit(offsets)?,
            None => self.engine()?.group(group)?.commit(offsets)?,
        }
        self.metrics.committed();
        let mut state = self.state()?;
        for (id, commit) in offsets {
            if let Some(assigned) = state.assignment.get_mut(id) {
                assigned.committed = Some(commit.offset);
            }
        }
        drop(state);
        self.follow_offsets_topic()
    }

    /// Once the topic of committed offsets was deleted, nothing is committed any more.
    fn follow_offsets_topic(&self) -> Result<()> {
        // Who cannot look is told by what he does next.
        let Ok(topic) = self.engine().and_then(|engine| engine.topic(OFFSETS_TOPIC)) else {
            return Ok(());
        };
        let topic = topic.map(|topic| topic.id);
        let mut state = self.state()?;
        let known = std::mem::replace(&mut state.committed_in, topic);
        if known.is_some() && known != topic {
            state.assignment.forget_committed();
        }
        Ok(())
    }

    /// Commits the positions if it is time for that.
    pub(super) fn auto_commit(&self) -> Result<()> {
        if !self.commits_itself() {
            return Ok(());
        }
        let now = self.now();
        {
            let mut state = self.state()?;
            let next = now.saturating_add(self.config.auto_commit_interval);
            if *state.next_commit.get_or_insert(next) > now {
                return Ok(());
            }
            state.next_commit = Some(next);
        }
        self.auto_commit_now();
        Ok(())
    }

    /// Commits the positions that changed; a failure is tried again at the next time.
    pub(super) fn auto_commit_now(&self) {
        if let Err(error) = self.auto_commit_positions() {
            log::warn!("committing positions: {error}");
        }
    }

    /// Commits the positions that changed, if that is the consumer's own business.
    pub(super) fn auto_commit_positions(&self) -> Result<()> {
        let Some(group) = self.group().filter(|_| self.commits_itself()) else { return Ok(()) };
        self.follow_offsets_topic()?;
        self.commit_for(group, &self.positions_to_commit(true)?)?;
        self.renew_commits(group);
        Ok(())
    }

    /// The positions of partitions that are there, as offsets to commit; with `changed`, only
    /// those not committed already.
    fn positions_to_commit(&self, changed: bool) -> Result<Offsets> {
        let mut offsets = self.state()?.assignment.to_commit(changed);
        offsets.retain(|(id, _)| self.is_there(id));
        Ok(offsets)
    }

    /// Commits once more, now and then, what is committed and still the position. Without members
    /// the offsets of a group expire each by its commit, and a quiet topic has no new ones
    /// (Kafka's clients commit all positions every time).
    fn renew_commits(&self, group: &str) {
        if let Err(error) =
            self.commits_to_renew(group).and_then(|due| self.commit_for(group, &due))
        {
            log::warn!("renewing committed offsets: {error}");
        }
    }

    fn commits_to_renew(&self, group: &str) -> Result<Offsets> {
        let engine = self.engine()?;
        let (now, every) = (self.now(), engine.config().offsets_retention_check_interval);
        if self.membership()?.is_some() || self.state()?.renewal.is_some_and(|due| now < due) {
            return Ok(Offsets::new());
        }
        self.state()?.renewal = Some(now.saturating_add(every));
        let mut committed = engine.committed_offsets(group)?;
        let positions = self.positions_to_commit(false)?.into_iter();
        let renewed = positions.filter_map(|(id, position)| {
            let known = committed.remove(&id)?;
            (known.offset == position.offset).then_some((id, known))
        });
        Ok(renewed.collect())
    }

    /// Commits the positions that changed, if the settings say so, as the last thing before all is
    /// given up. A group that has gone on without this member is no failure.
    pub fn last_commit(&self) -> Result<()> {
        match self.auto_commit_positions() {
            Err(
                error @ (Error::CommitFailed { .. }
                | Error::RebalanceInProgress(_)
                | Error::FencedInstanceId { .. }),
            ) => {
                log::warn!("committing positions: {error}");
                Ok(())
            }
            other => other,
        }
    }

    /// Whether the position in a partition is still one in it: its topic may have been deleted,
    /// and made anew.
    fn is_there(&self, id: &TopicPartition) -> bool {
        let Ok(state) = self.state() else { return false };
        let known = state.assignment.get(id).and_then(|assigned| assigned.partition.clone());
        drop(state);
        let now = self.engine().and_then(|engine| engine.partition(id)).ok();
        known.zip(now).is_some_and(|(known, now)| Arc::ptr_eq(&known, &now))
    }

    fn commits_itself(&self) -> bool {
        self.config.enable_auto_commit && self.group().is_some() && !self.read_only
    }

    /// The first offset of each partition, assigned or not.
    pub fn beginning_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, i64)>> {
        self.offsets(partitions, |partition| Ok(partition.ends()?.log_start_offset))
    }

    /// The offset that the next record of each partition will have; under `read_committed` the
    /// last stable offset.
    pub fn end_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<(TopicPartition, i64)>> {
        self.offsets(partitions, |partition| self.end_of(partition))
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
        offset: impl Fn(&Partition) -> Result<i64>,
    ) -> Result<Vec<(TopicPartition, i64)>> {
        let engine = self.engine()?;
        let each = partitions.iter();
        each.map(|id| Ok((id.clone(), offset(&*engine.partition(id)?)?))).collect()
    }

    /// The first record of each partition that is not older than the time given with it; `None`
    /// if all are, of those that this consumer may read.
    pub fn offsets_for_times(
        &self,
        times: &[(TopicPartition, Timestamp)],
    ) -> Result<Vec<(TopicPartition, Option<TimedOffset>)>> {
        let engine = self.engine()?;
        let find = |(id, time): &(TopicPartition, Timestamp)| {
            if *time < 0 {
                let what = format!("time {time} for {id}: it must not be negative");
                return Err(Error::InvalidArgument(what));
            }
            let place = Place::Time(*time);
            let found = engine.partition(id)?.look_up(place, self.config.isolation_level)?;
            Ok((id.clone(), found))
        };
        times.iter().map(find).collect()
    }
}
