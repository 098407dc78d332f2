//! A consumer's place in its group: what the engine asks of the member, as steps of a poll.
//!
//! What goes is announced while it is still the member's own and may be committed; the next call
//! gives it up. What comes is taken first and announced then, so it may be sought. A membership
//! that ended is announced too, and the next call joins anew.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::client::consumer::polled::Step;
use crate::client::consumer::subscription::Subscription;
use crate::client::consumer::{Consumer, State};
use crate::client::upkeep::{self, Seat};
use crate::coord::group::{Gone, Next, Strategy};
use crate::engine::{Engine, Join, Membership};
use crate::error::{Error, Result};
use crate::types::TopicPartition;

/// A consumer as a member, or to become one.
#[derive(Debug, Default)]
pub(super) struct Member {
    place: Option<Place>,
    stage: Stage,
    /// Everything went, which was announced, and nothing came since: that nothing goes in a further
    /// generation is not worth another word, as one `JoinGroup` of Kafka's spans both.
    told: bool,
    /// What the user's own strategies say of it, by their names.
    pub(super) user_data: Vec<(String, Vec<u8>)>,
}

#[derive(Clone, Debug)]
struct Place {
    membership: Arc<Membership>,
    seat: Arc<Seat>,
    /// What it has subscribed to.
    topics: Vec<String>,
    /// Nothing is done before: others may join a new group meanwhile.
    begins: Duration,
    /// The group's version for which there is nothing to do, and whether that is for good.
    idle: Option<(u64, bool)>,
}

/// What was announced, and is to be done.
#[derive(Clone, Debug, Default)]
enum Stage {
    #[default]
    Nothing,
    /// Give these up.
    Revoked(Vec<TopicPartition>),
    /// Forget all of the assignment.
    Lost,
}

/// A place that was given up; it ends when this is dropped, under no lock.
#[must_use]
pub(super) struct Left(Option<Place>);

impl Drop for Left {
    fn drop(&mut self) {
        let Some(Place { membership, seat, .. }) = self.0.take() else { return };
        drop(seat);
        if let Err(error) = membership.leave() {
            log::debug!("group {:?} was not left in good order: {error}", membership.group().id());
        }
    }
}

impl Member {
    /// Gives the place up.
    pub(super) fn leave(&mut self) -> Left {
        let user_data = std::mem::take(&mut self.user_data);
        let before = std::mem::replace(self, Self { user_data, ..Self::default() });
        Left(before.place)
    }

    pub(super) fn membership(&self) -> Option<Arc<Membership>> {
        self.place.as_ref().map(|place| Arc::clone(&place.membership))
    }

    /// Whether nothing keeps it from reading. A cooperative member reads also while others are to
    /// release something for it.
    pub(super) fn is_settled(&self, consumer: &Consumer) -> bool {
        let waits =
            self.place.as_ref().is_some_and(|place| place.idle.is_none_or(|(_, good)| !good));
        !waits || consumer.config.is_cooperative()
    }

    pub(super) fn strategies(&self, consumer: &Consumer) -> Vec<Strategy> {
        let user_data = |name: &str| {
            let known = self.user_data.iter().find(|(known, _)| known == name);
            known.map(|(_, data)| data.clone()).unwrap_or_default()
        };
        let assignors = consumer.config.assignors.iter();
        let strategy = assignors.map(|assignor| Strategy {
            name: assignor.name.clone(),
            own: assignor.own,
            user_data: user_data(&assignor.name),
        });
        strategy.collect()
    }
}

impl State {
    /// The topics that the group is to share, also those that do not exist yet.
    fn wanted_topics(&self) -> Vec<String> {
        if let Subscription::Topics(names) = &self.subscription {
            return names.iter().cloned().collect();
        }
        let names = self.target.iter().map(|target| target.id.topic.to_string());
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl Consumer {
    /// The group that shares the partitions out, if one does.
    pub(super) fn shares(&self) -> Option<&str> {
        self.group().filter(|_| !self.read_only)
    }

    /// Goes on towards what the group wants, until there is something to announce or nothing to do.
    pub(super) fn follow_group(&self, group: &str) -> Result<Option<Step>> {
        match self.go_on(group) {
            // Somebody was stopped while he changes the group; it goes on where it was.
            Err(Error::Timeout { .. }) => Ok(None),
            other => other,
        }
    }

    fn go_on(&self, group: &str) -> Result<Option<Step>> {
        loop {
            self.update_target()?;
            if self.is_idle()? {
                return Ok(None);
            }
            let stage = self.state()?.member.stage.clone();
            match stage {
                Stage::Revoked(partitions) => self.release(&partitions)?,
                Stage::Lost => self.forget()?,
                Stage::Nothing => {}
            }
            let place = self.place(group)?;
            if place.begins > self.now() {
                return Ok(None);
            }
            self.tell_topics(&place)?;
            if let Some(step) = self.advance(&place)? {
                return Ok(Some(step));
            }
        }
    }

    fn is_idle(&self) -> Result<bool> {
        let state = self.state()?;
        let Some(place) = &state.member.place else { return Ok(false) };
        place.seat.polled(self.now());
        let version = place.membership.group().version();
        Ok(state.settled && place.idle.is_some_and(|(known, _)| known == version))
    }

    /// Nothing of it is handed out or committed by itself any more, and then others may take it.
    fn release(&self, partitions: &[TopicPartition]) -> Result<()> {
        let membership = {
            let mut state = self.state()?;
            let kept = state.assignment.ids().into_iter().filter(|id| !partitions.contains(id));
            let kept: Vec<_> = kept.collect();
            state.assignment.set(kept);
            state.member.place.as_ref().map(|place| Arc::clone(&place.membership))
        };
        if let Some(membership) = membership {
            membership.release(partitions)?;
        }
        self.state()?.member.stage = Stage::Nothing;
        Ok(())
    }

    fn forget(&self) -> Result<()> {
        let mut state = self.state()?;
        state.assignment.set([]);
        state.member.stage = Stage::Nothing;
        state.member.told = true;
        Ok(())
    }

    /// The place in the group, taken if there is none.
    fn place(&self, group: &str) -> Result<Place> {
        let join = {
            let state = self.state()?;
            if let Some(place) = &state.member.place {
                return Ok(place.clone());
            }
            Join {
                client_id: self.config.client_id.clone(),
                instance_id: self.config.group_instance_id.clone(),
                topics: state.wanted_topics(),
                strategies: state.member.strategies(self),
                cooperative: self.config.is_cooperative(),
                session_timeout: self.config.session_timeout,
                rebalance_timeout: self.config.max_poll_interval,
            }
        };
        let topics = join.topics.clone();
        let engine = self.engine()?;
        let membership = Arc::new(engine.group(group)?.join(join)?);
        let seat = Arc::new(upkeep::sit(&engine, &membership, &self.config)?);
        let begins = self.begins(&engine, &membership);
        let place = Place { membership, seat, topics, begins, idle: None };
        let mut state = self.state()?;
        // Unless another thread was faster.
        Ok(state.member.place.get_or_insert(place).clone())
    }

    /// Kafka's `group.initial.rebalance.delay.ms`. As the first member has not followed the
    /// generation before, eager ones behind it take nothing either.
    fn begins(&self, engine: &Engine, membership: &Membership) -> Duration {
        let delay = engine.config().group_initial_rebalance_delay;
        if membership.is_first() { self.now().saturating_add(delay) } else { Duration::ZERO }
    }

    /// When a member of a new group begins, if it is too early now.
    pub(super) fn waits_until(&self) -> Result<Option<Duration>> {
        let begins = self.state()?.member.place.as_ref().map(|place| place.begins);
        Ok(begins.filter(|begins| *begins > self.now()))
    }

    /// Tells the group when the subscription, or the topics there are, have changed.
    fn tell_topics(&self, place: &Place) -> Result<()> {
        let (topics, strategies, generation) = {
            let state = self.state()?;
            if state.settled {
                return Ok(());
            }
            (state.wanted_topics(), state.member.strategies(self), state.generation)
        };
        if topics == place.topics {
            place.membership.refresh()?;
        } else {
            match place.membership.resubscribe(topics.clone(), strategies) {
                // It ended; what is next says so.
                Ok(()) | Err(Error::CommitFailed { .. } | Error::FencedInstanceId { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut state = self.state()?;
        if let Some(place) = &mut state.member.place {
            place.topics = topics;
        }
        state.settled = state.generation == generation;
        state.bind();
        Ok(())
    }

    /// Does what is next, as far as that needs no announcement before.
    fn advance(&self, place: &Place) -> Result<Option<Step>> {
        let membership = &place.membership;
        let version = membership.group().version();
        match membership.next()? {
            next @ (Next::Wait | Next::Stable) => {
                if let Some(place) = &mut self.state()?.member.place {
                    place.idle = Some((version, next == Next::Stable));
                }
                place.seat.noticed();
                Ok(None)
            }
            Next::Release(partitions) => self.revoke(partitions),
            Next::Take(_) => match membership.take()? {
                Some(taken) => self.take(taken),
                None => Ok(None),
            },
            Next::Assign(task) => Ok(Some(Step::Assign(task))),
            Next::Gone(gone) => self.lose(membership, gone),
        }
    }

    fn revoke(&self, partitions: Vec<TopicPartition>) -> Result<Option<Step>> {
        match self.auto_commit_positions() {
            // It is the last chance, so it is tried again.
            Err(error @ (Error::Interrupted | Error::Timeout { .. })) => return Err(error),
            Err(error) => log::warn!("committing positions: {error}"),
            Ok(()) => {}
        }
        let mut state = self.state()?;
        let silent = partitions.is_empty() && state.member.told;
        state.member.told = !self.config.is_cooperative();
        state.member.stage = Stage::Revoked(partitions.clone());
        Ok((!silent).then_some(Step::Revoked(partitions)))
    }

    fn take(&self, taken: Vec<TopicPartition>) -> Result<Option<Step>> {
        let mut state = self.state()?;
        let mut all = state.assignment.ids();
        all.extend(taken.iter().cloned());
        all.sort_unstable();
        all.dedup();
        state.assignment.set(all);
        state.bind();
        state.member.told = false;
        state.next_commit = None;
        let silent = taken.is_empty() && self.config.is_cooperative();
        Ok((!silent).then_some(Step::Assigned(taken)))
    }

    fn lose(&self, membership: &Membership, gone: Gone) -> Result<Option<Step>> {
        let mut state = self.state()?;
        let lost = state.assignment.ids();
        if !lost.is_empty() {
            state.member.stage = Stage::Lost;
            return Ok(Some(Step::Lost(lost)));
        }
        match gone {
            Gone::Fenced(instance) => {
                Err(Error::FencedInstanceId { group: membership.group().id().to_owned(), instance })
            }
            Gone::Evicted => {
                let told = state.member.told;
                let left = state.member.leave();
                state.member.told = told;
                drop(state);
                drop(left);
                Ok(None)
            }
        }
    }
}
