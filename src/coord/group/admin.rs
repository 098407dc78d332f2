//! What an administrator may ask of a group, who is no member of it.

use super::{Refused, State, Uid};

impl State {
    /// The member that is meant by its id, by its `group.instance.id`, or by both (Kafka's
    /// `LeaveGroup`).
    pub fn identify(&self, member_id: &str, instance_id: Option<&str>) -> Result<Uid, Refused> {
        let named = instance_id.map(|id| self.instance(id).ok_or(Refused::Unknown)).transpose()?;
        if member_id.is_empty() {
            return named.ok_or(Refused::Unknown);
        }
        let has_id = |uid: &Uid| self.members[uid].member_id == member_id;
        match (named, instance_id) {
            (Some(uid), _) if has_id(&uid) => Ok(uid),
            (Some(_), Some(id)) => Err(Refused::Fenced(id.to_owned())),
            _ => self.members.keys().copied().find(has_id).ok_or(Refused::Unknown),
        }
    }

    /// Whether any member subscribes to the topic: then what is committed for it is in use.
    pub fn subscribes(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.topics.iter().any(|own| own == topic))
    }
}
