//! What an administrator changes in a group: its members and what it has committed.

use std::sync::Arc;

use super::{Group, Turn};
use crate::coord::group::{Phase, Refused, State};
use crate::coord::offsets::Offsets;
use crate::engine::group::offsets::{Prepared, Record, or_gone};
use crate::env::point::point;
use crate::error::{Error, Result};
use crate::types::{OffsetAndMetadata, TopicPartition};

/// A member that is to be taken out: known by its id, its `group.instance.id`, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberToRemove {
    /// Its id.
    pub member_id: Option<String>,
    /// `group.instance.id`, of a static member.
    pub instance_id: Option<String>,
    /// Why, for the log.
    pub reason: Option<String>,
}

impl MemberToRemove {
    fn identify(&self, state: &State) -> Result<u64, Refused> {
        let member_id = self.member_id.as_deref().unwrap_or_default();
        state.identify(member_id, self.instance_id.as_deref())
    }
}

impl Group {
    /// Takes members out, for each of which it tells whether it was there. A member finds out as
    /// one that showed no sign of life for too long: it has lost its partitions, and joins anew.
    pub fn remove_members(&self, members: &[MemberToRemove]) -> Result<Vec<Result<()>>> {
        let removed = self.change(|state, counts| {
            let remove = |member: &MemberToRemove| match member.identify(state) {
                Ok(uid) => {
                    state.remove(uid, counts);
                    let why = member.reason.as_deref().unwrap_or("an administrator wants it");
                    log::info!("group {:?}: member {uid} is taken out: {why}", self.id());
                    Ok(())
                }
                Err(refused) => Err(self.not_removed(member, refused)),
            };
            members.iter().map(remove).collect()
        })?;
        point("admin.removed");
        Ok(removed)
    }

    fn not_removed(&self, member: &MemberToRemove, refused: Refused) -> Error {
        if let Refused::Fenced(instance) = refused {
            return Error::FencedInstanceId { group: self.id().to_owned(), instance };
        }
        let name = member.member_id.as_ref().or(member.instance_id.as_ref());
        self.unknown(format!("it has no member {:?}", name.map_or("", String::as_str)))
    }

    pub(super) fn unknown(&self, why: String) -> Error {
        Error::UnknownMemberId { group: self.id().to_owned(), why }
    }

    /// Commits offsets for a group without members, and tells of each partition whether that was
    /// possible. After `Ok` they are on stable storage, and so is every record below them.
    /// [`Error::UnknownMemberId`] for each if the group has members: only they may commit.
    pub fn alter_offsets(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Result<Vec<Result<()>>> {
        self.sweep(self.engine.env().clock.monotonic())?;
        let mut outcomes = Vec::new();
        for (partition, commit) in offsets {
            outcomes.push(individual(self.engine.check_commit(partition, commit))?);
        }
        let good = offsets.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        let good: Vec<_> = good.map(|(commit, _)| commit.clone()).collect();
        match self.commit(&good) {
            Ok(()) => {}
            Err(Error::CommitFailed { why, .. }) => {
                let refused = outcomes.iter_mut().filter(|outcome| outcome.is_ok());
                refused.for_each(|outcome| *outcome = Err(self.unknown(why.to_owned())));
            }
            Err(error) => return Err(error),
        }
        Ok(outcomes)
    }

    /// Takes back what was committed for partitions, and tells of each whether that was possible:
    /// not where members subscribe to the topic. [`Error::GroupIdNotFound`] if there is no such
    /// group.
    pub fn delete_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<Result<()>>> {
        self.sweep(self.engine.env().clock.monotonic())?;
        self.take_back(|state, committed| {
            let outcomes = self.deletable(state, partitions)?;
            let good = partitions.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
            let good = good.map(|(partition, _)| partition.clone());
            let gone: Vec<_> = good.filter(|partition| committed.contains(partition)).collect();
            Ok((Offsets::tombstones(self.id(), &gone, false), outcomes))
        })
    }

    fn deletable(&self, state: &State, partitions: &[TopicPartition]) -> Result<Vec<Result<()>>> {
        let topics = self.engine.topics()?;
        let count = |name: &str| topics.get(name).map_or(0, |topic| topic.partition_count());
        let check = |id: &TopicPartition| {
            if !(0..count(&id.topic)).contains(&id.partition) {
                return Err(Error::UnknownTopicOrPartition(id.clone()));
            }
            if state.subscribes(&id.topic) {
                let (group, topic) = (self.id().to_owned(), id.topic.to_string());
                return Err(Error::GroupSubscribedToTopic { group, topic });
            }
            Ok(())
        };
        Ok(partitions.iter().map(check).collect())
    }

    /// Removes a group without members, with all that it has committed. After `Ok` that is on
    /// stable storage.
    pub fn delete(&self) -> Result<()> {
        self.sweep(self.engine.env().clock.monotonic())?;
        self.take_back(|state, committed| {
            if state.phase() != Phase::Empty {
                return Err(Error::GroupNotEmpty(self.id().to_owned()));
            }
            Ok((Offsets::tombstones(self.id(), committed, true), ()))
        })
    }

    /// Appends what `decide` makes of the group and of the partitions it has committed for. Nobody
    /// can commit, become a member or cease to be one meanwhile.
    fn take_back<T>(
        &self,
        decide: impl FnOnce(&State, &[TopicPartition]) -> Result<(Vec<Record>, T)>,
    ) -> Result<T> {
        self.engine.shared.check_fork()?;
        let (appended, outcome) = {
            let turn = self.core.turn()?;
            self.engine.shared.check_open()?;
            let (state, committed) = self.existing(&turn)?;
            let (records, outcome) = decide(&state, &committed)?;
            point("admin.decided");
            (or_gone(self.append(&records))?, outcome)
        };
        point("admin.appended");
        if let Some((prepared, end)) = appended {
            or_gone(prepared.sync(end))?;
        }
        Ok(outcome)
    }

    fn append(&self, records: &[Record]) -> Result<Option<(Prepared, i64)>> {
        if records.is_empty() {
            return Ok(None);
        }
        let prepared = self.engine.prepare_each(self.id(), records)?;
        let end = prepared.append()?;
        Ok(Some((prepared, end)))
    }

    /// The group as it is, and for which partitions it has committed.
    fn existing(&self, turn: &Turn<'_>) -> Result<(Arc<State>, Vec<TopicPartition>)> {
        let state = self.current(turn)?;
        let look = |records: &Offsets| {
            let mut committed: Vec<_> = records.of(self.id()).into_keys().collect();
            committed.sort_unstable();
            records.has_protocol(self.id()).map(|_| committed)
        };
        let noted = self.engine.group_records(self.id(), look)?.flatten();
        if noted.is_none() && state.phase() == Phase::Empty {
            return Err(Error::GroupIdNotFound(self.id().to_owned()));
        }
        Ok((state, noted.unwrap_or_default()))
    }
}

/// What concerns one partition of many is no error of the call.
fn individual(checked: Result<()>) -> Result<Result<()>> {
    match checked {
        Err(error @ (Error::UnknownTopicOrPartition(_) | Error::OffsetMetadataTooLarge { .. })) => {
            Ok(Err(error))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(Ok(())),
    }
}
