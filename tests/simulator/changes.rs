//! What simulated processes do to topics and groups.

use std::time::Duration;

use brokerless::coord::group::{Next, Strategy};
use brokerless::engine::{Engine, Join, Membership, Topic};
use brokerless::{Error, TopicPartition};

use crate::model::Place;
use crate::program::{COMPACTED, Mixture, PASSING, PLAIN, Program, Session, TEAM, hold, settings};
use crate::team::Member;
use crate::topics::{Answer, Found, Policy};

/// Short enough that members are taken out who only come to their turn late.
const SESSION: Duration = Duration::from_millis(2);

impl Found {
    pub(crate) fn of(topic: &Topic) -> Self {
        let partitions = topic.partition_count();
        Self { id: topic.id, segment_bytes: topic.config.segment_bytes, partitions }
    }
}

/// Topics.
impl Program<'_> {
    pub(crate) fn create(&mut self, engine: &Engine) {
        let name = self.dice.pick(&PASSING);
        let policies: &[_] = match self.mixture {
            Mixture::Cleaning => &[Policy::Compact, Policy::Delete, Policy::CompactAndDelete],
            _ => &[Policy::Compact, Policy::Keep],
        };
        let policy = self.dice.pick(policies);
        let life = self.model().begin_create(name, 2, policy, self.life);
        let given = settings(&self.model(), life);
        let made = engine.create_topic(name, Some(2), &given);
        let answer = match made {
            Err(Error::TopicAlreadyExists(_)) => Answer::Refused,
            ref made => self.answer(made),
        };
        let found = made.ok().map(|topic| Found::of(&topic));
        let mut model = self.model();
        model.counts.made += u64::from(answer == Answer::Done);
        hold(model.topics.end_create(life, answer, found.as_ref()));
    }

    pub(crate) fn delete(&mut self, engine: &Engine) {
        let name = self.dice.pick(&PASSING);
        let deletion = self.model().topics.begin_delete(name, self.life);
        let answer = match engine.delete_topic(name) {
            Err(Error::UnknownTopicOrPartition(id)) if *id.topic == *name => Answer::Refused,
            deleted => self.answer(&deleted),
        };
        let mut model = self.model();
        model.counts.deleted += u64::from(answer == Answer::Done);
        hold(model.topics.end_delete(self.life, &deletion, answer));
    }

    fn answer<T>(&self, result: &Result<T, Error>) -> Answer {
        match result {
            Ok(_) => Answer::Done,
            Err(Error::Timeout { what: "the deletion of the topic", .. }) => Answer::Nothing,
            Err(error @ Error::Timeout { .. }) => panic!("{error}"),
            Err(_) if self.has_faults() => Answer::Unknown,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The group that all share.
impl Program<'_> {
    pub(crate) fn take_part(&mut self, session: &mut Session) {
        let Some(member) = &session.member else {
            session.member = self.join(session);
            return;
        };
        let me = (self.life, member.uid());
        member.beat();
        match self.dice.below(10) {
            0..3 => self.rebalance(member, me),
            3..5 => drop(self.of_group(member.group().sweep(self.env.clock.monotonic()))),
            5..9 => {
                let id = self.pick_own(me);
                self.commit_own(session, me, &id);
            }
            _ => {
                self.model().team.leave(me);
                self.of_group(member.leave());
                session.member = None;
            }
        }
    }

    /// Goes on without a look at what happened meanwhile: it may have been taken out.
    pub(crate) fn come_back(&mut self, session: &mut Session) {
        if let Some(uid) = session.member.as_ref().map(Membership::uid) {
            let me = (self.life, uid);
            let id = self.pick_own(me);
            if let Some((place, partition)) = self.find_partition(&session.engine, &id) {
                self.append(&place, &partition);
            }
            self.commit_own(session, me, &id);
        }
        self.take_part(session);
    }

    fn join(&self, session: &Session) -> Option<Membership> {
        let strategy = if self.cooperative { "cooperative-sticky" } else { "range" };
        let join = Join {
            client_id: "c".to_owned(),
            instance_id: None,
            topics: vec![PLAIN.to_owned(), COMPACTED.to_owned()],
            strategies: vec![Strategy { name: strategy.into(), own: false, user_data: Vec::new() }],
            cooperative: self.cooperative,
            session_timeout: SESSION,
            rebalance_timeout: Duration::from_secs(60),
        };
        let group = self.allow(session.engine.group(TEAM))?;
        self.of_group(group.join(join))
    }

    /// A call that others may hold up for 100 ms: then nothing has happened.
    fn of_group<T>(&self, result: Result<T, Error>) -> Option<T> {
        match result {
            Err(Error::Timeout { .. }) => None,
            result => self.allow(result),
        }
    }

    fn rebalance(&self, member: &Membership, me: Member) {
        match self.allow(member.next()) {
            Some(Next::Release(partitions)) => {
                self.model().team.release(me, &partitions);
                self.of_group(member.release(&partitions));
            }
            Some(Next::Take(_)) => {
                if let Some(Some(taken)) = self.of_group(member.take()) {
                    self.model().team.take(me, taken);
                    self.check_owners(member, me);
                }
            }
            Some(Next::Gone(_)) => self.model().team.leave(me),
            _ => {}
        }
    }

    /// Nobody else who is a member owns what this one does.
    fn check_owners(&self, member: &Membership, me: Member) {
        let rivals = self.model().team.rivals(me);
        if rivals.is_empty() {
            return;
        }
        let Some(state) = self.allow(member.group().state()) else { return };
        let still = self.model().team.rivals(me);
        for (other, partition) in rivals.iter().filter(|it| still.contains(it)) {
            let both = state.member(me.1).is_some() && state.member(other.1).is_some();
            assert!(!both, "{partition} is owned by {me:?} and by {other:?}");
        }
    }

    /// A partition that is its own, or now and then any.
    fn pick_own(&mut self, me: Member) -> TopicPartition {
        let owned = self.model().team.owned(me);
        match owned.get(self.dice.below(owned.len() + 1)) {
            Some(id) => id.clone(),
            None => TopicPartition::new(PLAIN, self.dice.below(2) as i32),
        }
    }

    /// Commits for a partition that should be its own.
    fn commit_own(&self, session: &Session, me: Member, id: &TopicPartition) {
        let Some(member) = &session.member else { return };
        let owned = self.model().team.owned(me);
        let Some(state) = self.allow(member.group().state()) else { return };
        let was_in = state.member(me.1).is_some();
        let Some(place) = self.place_of(id) else { return };
        if self.commit_as(TEAM, &place, |offsets| member.commit(offsets)) {
            assert!(owned.contains(id), "{me:?} has committed for {id}, which it did not own");
            self.model().counts.owned += 1;
            assert!(was_in, "{me:?} has committed for {id} when it was no member any more");
        }
    }

    /// A partition of a topic that stays.
    fn place_of(&self, id: &TopicPartition) -> Option<Place> {
        let life = self.model().topics.staying(&id.topic)?;
        Some(Place { life, id: id.clone() })
    }
}
