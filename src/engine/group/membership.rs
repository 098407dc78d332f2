//! One member of a group, in the process it lives in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Group, files, own_process};
use crate::coord::group::{Gone, Joining, Next, Phase, Refused, State, Strategy, Target, Uid};
use crate::engine::topics::OFFSETS_TOPIC;
use crate::env::RecordLock;
use crate::env::point::point;
use crate::error::{Error, Result};
use crate::types::{OffsetAndMetadata, TopicPartition};

/// What a consumer says of itself when it joins.
#[derive(Clone, Debug)]
pub struct Join {
    /// `client.id`.
    pub client_id: String,
    /// `group.instance.id`, of a static member (KIP-345).
    pub instance_id: Option<String>,
    /// What it subscribes to.
    pub topics: Vec<String>,
    /// What it can use, best first.
    pub strategies: Vec<Strategy>,
    /// Whether it keeps what does not move (KIP-429).
    pub cooperative: bool,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `max.poll.interval.ms`.
    pub rebalance_timeout: Duration,
}

/// A place in a group. It ends when dropped, or with the process; a static member's after its
/// session timeout.
///
/// Calls that change the group give [`Error::Timeout`] after about 100 ms in which another process
/// held its lock; nothing has happened then, and the call may be made again.
#[derive(Debug)]
pub struct Membership {
    group: Arc<Group>,
    uid: Uid,
    member_id: String,
    instance_id: Option<String>,
    slot: u32,
    first: bool,
    left: AtomicBool,
    /// Held for the member's life: how the others know that it lives.
    _life: Box<dyn RecordLock>,
}

impl Group {
    /// Becomes a member. [`Error::InconsistentGroupProtocol`] if it shares no strategy with the
    /// members, [`Error::GroupMaxSizeReached`] if there are 960, [`Error::InvalidSessionTimeout`]
    /// if the directory's settings do not allow its own.
    pub fn join(self: &Arc<Self>, join: Join) -> Result<Membership> {
        self.check_session(join.session_timeout)?;
        let instance_id = join.instance_id.clone();
        // Not made under the group's lock, which comes after that of the topics.
        self.engine.topic_or_create(OFFSETS_TOPIC)?;
        let (uid, member_id, slot, first, life) = self.change(|state, counts| {
            self.bury(state, counts)?;
            let first = state.phase() == Phase::Empty;
            let (slot, life) = self.occupy(state)?;
            self.core.files.show_life(slot, self.engine.env().clock.monotonic());
            point("rebalance.occupied");
            let joining = self.joining(join, slot);
            let uid = state.join(joining, counts).map_err(|refused| self.refuse(refused))?;
            let member_id = state.member(uid).map(|member| member.member_id.clone());
            Ok::<_, Error>((uid, member_id.unwrap_or_default(), slot, first, life))
        })??;
        point("rebalance.joined");
        let left = AtomicBool::new(false);
        let group = self.clone();
        Ok(Membership { group, uid, member_id, instance_id, slot, first, left, _life: life })
    }

    fn check_session(&self, given: Duration) -> Result<()> {
        let config = self.engine.config();
        let (min, max) = (config.group_min_session_timeout, config.group_max_session_timeout);
        if (min..=max).contains(&given) {
            return Ok(());
        }
        Err(Error::InvalidSessionTimeout { given, min, max })
    }

    /// Takes out the dead, so that nobody waits for them.
    fn bury(&self, state: &mut State, counts: crate::coord::group::Counts<'_>) -> Result<()> {
        let now = self.engine.env().clock.monotonic();
        let mut dead = Vec::new();
        for (uid, member) in state.members() {
            if self.core.files.is_dead(member, now)? {
                dead.push(uid);
            }
        }
        for uid in dead {
            state.remove(uid, counts);
        }
        Ok(())
    }

    fn occupy(&self, state: &State) -> Result<(u32, Box<dyn RecordLock>)> {
        for slot in 0..files::SLOTS {
            // That of a static member who died is not free either.
            if state.members().all(|(_, member)| member.slot != slot)
                && let Some(life) = self.core.files.occupy(slot)?
            {
                return Ok((slot, life));
            }
        }
        Err(Error::GroupMaxSizeReached(self.id().to_owned()))
    }

    fn joining(&self, join: Join, slot: u32) -> Joining {
        Joining {
            client_id: join.client_id,
            instance_id: join.instance_id,
            process: own_process(),
            slot,
            bell: self.engine.doorbell.number(),
            topics: join.topics,
            strategies: join.strategies,
            cooperative: join.cooperative,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
        }
    }
}

impl Membership {
    /// Its group.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Its id in the group.
    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    /// What the group knows it by.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// Whether the group was empty when it joined.
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// The group's generation.
    pub fn generation(&self) -> Result<i32> {
        Ok(self.group.state()?.generation())
    }

    /// What the member does next. After [`Next::Wait`] and [`Next::Stable`] there is nothing to
    /// ask before the group's version has moved.
    pub fn next(&self) -> Result<Next> {
        if self.left.load(Ordering::Acquire) {
            return Ok(Next::Gone(Gone::Evicted));
        }
        Ok(self.group.state()?.next(self.uid, self.instance_id.as_deref()))
    }

    /// Gives partitions up, so that others may take them. To be called for each
    /// [`Next::Release`], also if that names none.
    pub fn release(&self, partitions: &[TopicPartition]) -> Result<()> {
        self.group.change(|state, _| state.release(self.uid, partitions))?;
        point("rebalance.released");
        Ok(())
    }

    /// Takes the partitions of [`Next::Take`] and gives them; `None` if the group has changed, so
    /// that something else is next.
    pub fn take(&self) -> Result<Option<Vec<TopicPartition>>> {
        let taken = self.group.change(|state, _| state.take(self.uid))?;
        point("rebalance.taken");
        Ok(taken)
    }

    /// Answers [`Next::Assign`]: what each member id is to own. Members left out get nothing.
    /// [`Error::InvalidAssignment`] for nonsense; then it is to be done again.
    pub fn assign(&self, generation: i32, targets: Vec<(String, Target)>) -> Result<()> {
        let assigned = self.group.change(|state, _| state.assign(self.uid, generation, targets))?;
        self.accept(assigned)
    }

    /// Wants other topics, or others of its strategies.
    pub fn resubscribe(&self, topics: Vec<String>, strategies: Vec<Strategy>) -> Result<()> {
        let changed = self
            .group
            .change(|state, counts| state.resubscribe(self.uid, topics, strategies, counts))?;
        self.accept(changed)
    }

    /// Notes what its own strategies say of it now, for the next generation.
    pub fn describe(&self, strategies: Vec<Strategy>) -> Result<()> {
        let noted = self.group.change(|state, _| state.describe(self.uid, strategies))?;
        self.accept(noted)
    }

    /// Looks whether the topics have other partitions than those that were shared out.
    pub fn refresh(&self) -> Result<()> {
        self.group.change(|state, counts| state.refresh(counts))
    }

    /// Commits offsets of partitions that are its own. After `Ok` they are on stable storage, and
    /// so is every record below them.
    pub fn commit(&self, offsets: &[(TopicPartition, OffsetAndMetadata)]) -> Result<()> {
        self.group.commit_if(offsets, |state| {
            let partitions = offsets.iter().map(|(partition, _)| partition);
            state.may_commit(self.uid, self.instance_id.as_deref(), partitions)
        })
    }

    /// Shows that the process runs. No lock, no system call.
    pub fn beat(&self) {
        self.group.core.files.beat(self.slot).fetch_add(1, Ordering::Relaxed);
        self.show_life();
    }

    fn show_life(&self) {
        self.group.core.files.show_life(self.slot, self.group.engine.env().clock.monotonic());
    }

    /// Leaves. A static member stays until its session timeout is over, so that it may come back.
    pub fn leave(&self) -> Result<()> {
        if self.instance_id.is_none() {
            return self.leave_for_good();
        }
        self.show_life();
        Ok(())
    }

    /// Leaves, also as a static member.
    pub fn leave_for_good(&self) -> Result<()> {
        self.group.change(|state, counts| state.remove(self.uid, counts))?;
        point("rebalance.left");
        self.left.store(true, Ordering::Release);
        Ok(())
    }

    fn accept(&self, outcome: std::result::Result<(), Refused>) -> Result<()> {
        outcome.map_err(|refused| self.group.refuse(refused))
    }
}

impl Drop for Membership {
    /// Without it the others find the free byte a little later.
    fn drop(&mut self) {
        if self.left.load(Ordering::Acquire) || self.group.engine.shared.check_fork().is_err() {
            return;
        }
        if let Err(error) = self.leave() {
            log::debug!("group {:?} was not left in good order: {error}", self.group.id());
        }
    }
}
