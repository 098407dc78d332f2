//! Members that do anything at any time, and what holds all the same.
//!
//! Each member has its own *view*: what it believes to own, from what it took and released. The
//! views of all members, and not the state's own words, decide who owns a partition.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::collection::vec;
use proptest::prelude::{Just, prop_oneof, proptest};
use proptest::strategy::Strategy as Chance;

use super::tests::joining;
use super::{Gone, Joining, Member, Next, Phase, Refused, State, Target, Task, Uid};
use crate::types::TopicPartition;

/// Members that run at once, at most.
const PLACES: usize = 5;

/// Something that a member, or the world, does. Members are named by their places.
#[derive(Clone, Debug)]
enum Deed {
    Join {
        place: usize,
        kind: usize,
        topics: usize,
        instance: Option<u8>,
    },
    /// It asks what is next.
    Ask(usize),
    /// It does what it was told when it last asked, however long ago.
    Do(usize),
    /// Both.
    Turn(usize),
    Leave(usize),
    /// It is taken out by others, and does not know.
    Evict(usize),
    /// Those who died are taken out.
    Bury,
    Resubscribe {
        place: usize,
        topics: usize,
    },
    /// A topic gets a partition more.
    Grow(usize),
    /// Whoever does this dies before the new state is valid.
    Crash(Box<Deed>),
}

const TOPICS: [&[&str]; 3] = [&["t"], &["t", "u"], &["u"]];

/// Groups of strategies that members have; those of one line can be in one group.
const KINDS: [&[&[&str]]; 4] = [
    &[&["range", "roundrobin"], &["roundrobin"], &["roundrobin", "sticky"]],
    &[&["cooperative-sticky"], &["cooperative-sticky", "range"]],
    &[&["own"]],
    &[&["sticky"], &["cooperative-sticky"], &["own", "sticky"]],
];

fn deeds() -> impl Chance<Value = (usize, Vec<Deed>)> {
    (0..KINDS.len(), vec(deed(), 1..120))
}

fn deed() -> impl Chance<Value = Deed> {
    let place = 0..PLACES;
    let topics = 0..TOPICS.len();
    let instance = proptest::option::weighted(0.3, 0..2_u8);
    let plain = prop_oneof![
        4 => (place.clone(), 0..3_usize, topics.clone(), instance)
            .prop_map(|(place, kind, topics, instance)| Deed::Join { place, kind, topics, instance }),
        6 => place.clone().prop_map(Deed::Ask),
        6 => place.clone().prop_map(Deed::Do),
        12 => place.clone().prop_map(Deed::Turn),
        1 => place.clone().prop_map(Deed::Leave),
        1 => place.clone().prop_map(Deed::Evict),
        3 => Just(Deed::Bury),
        1 => (place, topics).prop_map(|(place, topics)| Deed::Resubscribe { place, topics }),
        1 => (0..2_usize).prop_map(Deed::Grow),
    ];
    plain.prop_flat_map(|deed| {
        let crash = Deed::Crash(Box::new(deed.clone()));
        prop_oneof![9 => Just(deed), 1 => Just(crash)]
    })
}

/// A consumer.
#[derive(Clone, Debug)]
struct App {
    uid: Uid,
    instance: Option<String>,
    view: BTreeSet<TopicPartition>,
    told: Option<Next>,
}

#[derive(Clone, Debug)]
struct World {
    kinds: &'static [&'static [&'static str]],
    state: State,
    apps: [Option<App>; PLACES],
    counts: BTreeMap<&'static str, i32>,
    /// To whom a generation gives each partition, by instance id or number.
    given: HashMap<(i32, TopicPartition), String>,
}

impl World {
    fn new(kinds: usize) -> Self {
        Self {
            kinds: KINDS[kinds],
            state: State::after(0),
            apps: Default::default(),
            counts: BTreeMap::from([("t", 3), ("u", 2)]),
            given: HashMap::new(),
        }
    }

    fn app(&mut self, place: usize) -> Option<&mut App> {
        self.apps[place].as_mut()
    }

    /// Does it, and looks whether all is well.
    fn step(&mut self, deed: &Deed) {
        let before = self.state.generation();
        let (members, wants) = (self.uids(), self.wants());
        match deed {
            Deed::Crash(deed) => self.crash(deed),
            deed => self.act(deed),
        }
        let bytes = self.state.encode();
        let read = State::decode(&bytes).expect("what was encoded can be decoded");
        assert_eq!(read, self.state);
        self.state = read;
        let after = self.state.generation();
        assert!(after >= before, "the generation goes back");
        let replaced = self.uids().len() == members.len() && self.wants() == wants;
        assert!(after > before || replaced, "the members changed, and the generation did not");
        self.check();
    }

    fn uids(&self) -> BTreeSet<Uid> {
        self.state.members().map(|(uid, _)| uid).collect()
    }

    /// Who wants what, by instance id or number.
    fn wants(&self) -> BTreeSet<(String, Vec<String>)> {
        let want = |(uid, member): (Uid, &Member)| (name(uid, member), member.topics.clone());
        self.state.members().map(want).collect()
    }

    /// The doer is gone, and nothing has happened.
    fn crash(&mut self, deed: &Deed) {
        let mut lost = self.clone();
        lost.act(deed);
        if let Deed::Turn(place) | Deed::Do(place) | Deed::Leave(place) = deed {
            self.apps[*place] = None;
        }
    }

    fn act(&mut self, deed: &Deed) {
        let counts = self.counts.clone();
        let counts = |topic: &str| counts.get(topic).copied();
        match deed {
            Deed::Join { place, kind, topics, instance } => {
                self.join(*place, *kind, TOPICS[*topics], *instance);
            }
            Deed::Ask(place) => self.ask(*place),
            Deed::Do(place) => self.do_it(*place),
            Deed::Turn(place) => {
                self.ask(*place);
                self.do_it(*place);
            }
            Deed::Leave(place) => {
                if let Some(app) = self.apps[*place].take() {
                    self.state.remove(app.uid, &counts);
                }
            }
            Deed::Evict(place) => {
                if let Some(app) = &self.apps[*place] {
                    self.state.remove(app.uid, &counts);
                }
            }
            Deed::Bury => self.bury(),
            Deed::Resubscribe { place, topics } => {
                let Some(uid) = self.app(*place).map(|app| app.uid) else { return };
                let Some(member) = self.state.member(uid) else { return };
                let strategies = member.strategies.clone();
                let topics = TOPICS[*topics].iter().map(|topic| (*topic).to_owned()).collect();
                self.state.resubscribe(uid, topics, strategies, &counts).unwrap();
            }
            Deed::Grow(topic) => {
                *self.counts.get_mut(["t", "u"][*topic]).unwrap() += 1;
                let counts = self.counts.clone();
                self.state.refresh(&|topic| counts.get(topic).copied());
            }
            Deed::Crash(_) => unreachable!("a crash is not of a crash"),
        }
    }

    /// Its consumer before it, if there was one, is dead and forgotten.
    fn join(&mut self, place: usize, kind: usize, topics: &[&str], instance: Option<u8>) {
        let instance = instance.map(|number| format!("i{number}"));
        let strategies = self.kinds[kind % self.kinds.len()];
        let joining = Joining { instance_id: instance.clone(), ..joining(topics, strategies) };
        let counts = self.counts.clone();
        let before = self.state.clone();
        match self.state.join(joining, &|topic| counts.get(topic).copied()) {
            Ok(uid) => {
                let view = BTreeSet::new();
                self.apps[place] = Some(App { uid, instance, view, told: None });
            }
            Err(refused) => {
                assert_eq!(refused, Refused::NoCommonStrategy);
                assert_eq!(self.state, before, "a refused join changes nothing");
            }
        }
    }

    fn ask(&mut self, place: usize) {
        let Some(app) = &mut self.apps[place] else { return };
        let next = self.state.next(app.uid, app.instance.as_deref());
        if let Next::Gone(gone) = &next {
            assert!(self.state.member(app.uid).is_none());
            assert_eq!(matches!(gone, Gone::Fenced(_)), {
                let others = self.state.members();
                let mut ids = others.filter_map(|(_, member)| member.instance_id.as_deref());
                app.instance.as_deref().is_some_and(|own| ids.any(|id| id == own))
            });
            self.apps[place] = None;
            return;
        }
        app.told = Some(next);
    }

    fn do_it(&mut self, place: usize) {
        let Some(app) = &mut self.apps[place] else { return };
        match app.told.take() {
            Some(Next::Release(partitions)) => {
                // Already while they are announced they may go to nobody else.
                app.view.retain(|partition| !partitions.contains(partition));
                self.state.release(app.uid, &partitions);
            }
            Some(Next::Take(_)) => app.view.extend(self.state.take(app.uid).unwrap_or_default()),
            Some(Next::Assign(task)) => {
                let uid = app.uid;
                self.assign(uid, &task);
            }
            _ => {}
        }
    }

    /// By turns; but first nonsense, which changes nothing.
    fn assign(&mut self, uid: Uid, task: &Task) {
        let before = self.state.clone();
        let stranger = vec![("nobody".to_owned(), Target::default())];
        let refused = self.state.assign(uid, task.generation, stranger);
        let is_due = self.state.generation() == task.generation && !self.state.is_assigned();
        assert_eq!(matches!(refused, Err(Refused::Nonsense(_))), is_due && refused.is_err());
        assert_eq!(self.state, before);

        let mut targets: BTreeMap<String, Target> = BTreeMap::new();
        for (topic, count) in &task.partitions {
            let fans = || task.members.iter().filter(|member| member.topics.contains(topic));
            for (number, fan) in (0..*count).zip(fans().cycle()) {
                let partition = TopicPartition::new(topic.as_str(), number);
                targets.entry(fan.member_id.clone()).or_default().partitions.push(partition);
            }
        }
        let assigned = self.state.assign(uid, task.generation, targets.into_iter().collect());
        assert!(matches!(assigned, Ok(()) | Err(Refused::Unknown)), "{assigned:?}");
    }

    fn bury(&mut self) {
        let alive: BTreeSet<Uid> = self.apps.iter().flatten().map(|app| app.uid).collect();
        let counts = self.counts.clone();
        for dead in &self.uids() - &alive {
            self.state.remove(dead, &|topic| counts.get(topic).copied());
        }
    }

    /// Who owns each partition, in the eyes of those who are members.
    fn owners(&self) -> HashMap<TopicPartition, Uid> {
        let mut owners = HashMap::new();
        for app in self.apps.iter().flatten().filter(|app| self.state.member(app.uid).is_some()) {
            for partition in &app.view {
                let other = owners.insert(partition.clone(), app.uid);
                assert_eq!(other, None, "{partition} has two owners");
            }
        }
        owners
    }

    fn check(&mut self) {
        let owners = self.owners();
        for app in self.apps.iter().flatten() {
            for (topic, count) in &self.counts {
                for partition in (0..*count).map(|number| TopicPartition::new(*topic, number)) {
                    let may = self.state.may_commit(app.uid, app.instance.as_deref(), [&partition]);
                    let owns = owners.get(&partition) == Some(&app.uid);
                    assert_eq!(may.is_ok(), owns, "{partition} by {}: {may:?}", app.uid);
                }
            }
        }
        assert_eq!(self.state.may_commit_alone().is_ok(), self.uids().is_empty());
        self.check_targets();
    }

    /// A generation gives a partition to one member, who subscribes to it, and never to another.
    fn check_targets(&mut self) {
        if !self.state.is_assigned() {
            return;
        }
        for (uid, member) in self.state.members() {
            for partition in &member.target.partitions {
                assert!(member.topics.iter().any(|topic| **topic == *partition.topic));
                let key = (self.state.generation(), partition.clone());
                let to = self.given.entry(key).or_insert_with(|| name(uid, member));
                assert_eq!(*to, name(uid, member), "{partition} is given twice in a generation");
            }
        }
    }

    /// The dead are taken out, and everybody else does what is next until nothing is left to do.
    fn settle(&mut self) {
        self.step(&Deed::Bury);
        for round in 0.. {
            assert!(round < 50, "there is no end: {:?}", self.state);
            let before = self.state.clone();
            for place in 0..PLACES {
                self.step(&Deed::Turn(place));
            }
            if self.state == before {
                break;
            }
        }
        assert!(matches!(self.state.phase(), Phase::Stable | Phase::Empty), "{:?}", self.state);
        let owners = self.owners();
        let subscribed = self.state.topics();
        for (topic, count) in self.counts.iter().filter(|(topic, _)| subscribed.contains(**topic)) {
            for partition in (0..*count).map(|number| TopicPartition::new(*topic, number)) {
                assert!(owners.contains_key(&partition), "{partition} has no owner");
            }
        }
    }
}

fn name(uid: Uid, member: &Member) -> String {
    member.instance_id.clone().unwrap_or_else(|| uid.to_string())
}

proptest! {
    #[test]
    fn whatever_members_do_each_partition_has_one_owner_and_in_the_end_an_owner(
        (kinds, deeds) in deeds()
    ) {
        let mut world = World::new(kinds);
        for deed in &deeds {
            world.step(deed);
        }
        world.settle();
    }
}
