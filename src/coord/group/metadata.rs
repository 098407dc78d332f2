//! What `__consumer_offsets` notes of a group: Kafka's `GroupMetadataValue`.

use super::{Member, State};
use crate::coord::schema::{self, Assignment, GroupMetadata, MemberMetadata, Subscription};
use crate::types::Timestamp;

/// What Kafka notes of a client on the broker's own machine.
const HOST: &str = "/127.0.0.1";

impl State {
    /// Whether `self`, which came after `before`, is to be noted: a generation has its targets, or
    /// a static member came back in another process.
    pub(crate) fn is_news(&self, before: &Self) -> bool {
        let ids = |state: &Self| state.members.keys().copied().collect::<Vec<_>>();
        let same = (self.generation, self.assigned) == (before.generation, before.assigned);
        self.assigned && !(same && ids(self) == ids(before))
    }

    /// The group as it is noted, in its state since `now`.
    pub(crate) fn metadata(&self, now: Timestamp) -> GroupMetadata {
        let strategy = self.strategy.as_deref();
        let leader = self.members.values().next();
        GroupMetadata {
            protocol_type: schema::CONSUMER_PROTOCOL.to_owned(),
            generation: self.generation,
            protocol: strategy.map(str::to_owned),
            leader: leader.map(|member| member.member_id.clone()),
            current_state_timestamp: now,
            members: self.members.values().map(|member| member.metadata(strategy)).collect(),
        }
    }
}

impl Member {
    fn metadata(&self, strategy: Option<&str>) -> MemberMetadata {
        let unless_empty = |data: &Vec<u8>| Some(data.clone()).filter(|data| !data.is_empty());
        let strategy = strategy.and_then(|name| self.strategy(name));
        let subscription = Subscription {
            topics: self.topics.clone(),
            user_data: strategy.and_then(|strategy| unless_empty(&strategy.user_data)),
            owned_partitions: self.held.clone(),
            generation: self.held_generation,
            rack_id: None,
        };
        let assignment = Assignment {
            partitions: self.target.partitions.clone(),
            user_data: unless_empty(&self.target.user_data),
        };
        let millis =
            |time: std::time::Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        MemberMetadata {
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: HOST.to_owned(),
            rebalance_timeout: millis(self.rebalance_timeout),
            session_timeout: millis(self.session_timeout),
            subscription: schema::encode_subscription(&subscription),
            assignment: schema::encode_assignment(&assignment),
        }
    }
}
