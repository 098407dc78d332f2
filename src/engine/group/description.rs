//! What there is to see of groups, for who takes no part in them.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use super::offsets::despite_deletion;
use super::{Group, files};
use crate::coord::group::{Phase, Process, State};
use crate::coord::offsets::Offsets;
use crate::coord::schema;
use crate::engine::Engine;
use crate::engine::topics::OFFSETS_TOPIC;
use crate::env::Access;
use crate::error::{At, Error, Result};

/// A group, as Kafka's `DescribeGroups` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub id: String,
    /// `consumer`; nothing for a group that only keeps offsets.
    pub protocol_type: &'static str,
    /// How far it is.
    pub phase: Phase,
    /// The strategy that its members agreed on, once it is stable.
    pub strategy: Option<String>,
    /// Its members, in the order they came.
    pub members: Vec<MemberDescription>,
}

/// A member of a group, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// `group.instance.id`, of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// What a broker on this machine would note of it.
    pub client_host: String,
    /// The process it lives in.
    pub process: Process,
    /// What it subscribes to and what it is assigned, as the consumer protocol encodes them; empty
    /// until the group is stable.
    pub subscription: Vec<u8>,
    /// See `subscription`.
    pub assignment: Vec<u8>,
}

impl Engine {
    /// All groups: those that have members, and those of which anything was noted.
    pub fn groups(self: &Arc<Self>) -> Result<Vec<GroupDescription>> {
        let mut ids = despite_deletion(|| self.noted_groups())?;
        if !self.is_read_only() {
            ids.extend(files::ids(&self.env().storage, self.dir())?);
        }
        let described = ids.iter().map(|id| self.describe_group(id));
        described.filter_map(Result::transpose).collect()
    }

    /// The group of that id; `None` if there is none.
    pub fn describe_group(self: &Arc<Self>, id: &str) -> Result<Option<GroupDescription>> {
        let state = self.state_of_group(id)?;
        let noted = self.group_records(id, |records| records.has_protocol(id))?.flatten();
        let has_members = state.phase() != Phase::Empty;
        if noted.is_none() && !has_members {
            return Ok(None);
        }
        let is_protocol = has_members || noted == Some(true);
        Ok(Some(describe(id, &state, if is_protocol { schema::CONSUMER_PROTOCOL } else { "" })))
    }

    fn noted_groups(&self) -> Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        let Some(topic) = self.topic(OFFSETS_TOPIC)? else { return Ok(ids) };
        for number in 0..topic.partition_count() {
            let partition = self.partition_of(&topic, number)?;
            if !self.is_unused(&partition)? {
                ids.extend(self.partition_records(&partition, Offsets::group_ids)?);
            }
        }
        Ok(ids)
    }

    /// Who is in the group now. Makes no files for a group that has none.
    pub(super) fn state_of_group(self: &Arc<Self>, id: &str) -> Result<Arc<State>> {
        if self.is_read_only() || !self.has_files(id)? {
            return Ok(Arc::default());
        }
        let group = self.group(id)?;
        group.sweep_if_free()?;
        group.state()
    }

    fn has_files(&self, id: &str) -> Result<bool> {
        let path = self.group_lock(id).with_extension("state");
        match self.env().storage.open(&path, Access::Read) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            opened => opened.map(|_| true).at("open", &path),
        }
    }
}

impl Group {
    /// Members that died are none. If somebody was stopped while he changes the group, they are
    /// taken out later. Whether there were any.
    pub(super) fn sweep_if_free(&self) -> Result<bool> {
        match self.sweep(self.engine.env().clock.monotonic()) {
            Err(Error::Timeout { .. }) => Ok(false),
            swept => swept,
        }
    }
}

fn describe(id: &str, state: &State, protocol_type: &'static str) -> GroupDescription {
    let phase = state.phase();
    let is_stable = phase == Phase::Stable;
    let noted = state.metadata(0).members;
    let members = state.members().zip(noted).map(|((_, member), noted)| MemberDescription {
        member_id: noted.member_id,
        instance_id: noted.group_instance_id,
        client_id: noted.client_id,
        client_host: noted.client_host,
        process: member.process.clone(),
        subscription: if is_stable { noted.subscription } else { Vec::new() },
        assignment: if is_stable { noted.assignment } else { Vec::new() },
    });
    GroupDescription {
        id: id.to_owned(),
        protocol_type,
        phase,
        strategy: state.strategy().filter(|_| is_stable).map(str::to_owned),
        members: members.collect(),
    }
}
