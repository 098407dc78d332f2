//! A member of the group: polls, works, commits, and writes down all of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use brokerless::client::{Outgoing, Producer, directory};
use brokerless::config::ProducerConfig;
use brokerless::engine::OpenOptions;
use brokerless::env::random;
use brokerless::types::{Durability, OffsetAndMetadata};
use brokerless::{Error, TopicPartition};

use crate::bare::Bare;
use crate::client::Client;
use crate::consumer::{Consumer, Settings, Step};
use crate::history::{History, Offsets, What};
use crate::support::Dice;
use crate::support::{arg, say};

pub(crate) const GROUP: &str = "storm";

/// How long a poll may take.
const POLL: Duration = Duration::from_millis(50);

struct Member {
    name: String,
    consumer: Box<dyn Consumer>,
    history: History,
    dice: Dice,
    session: Duration,
    /// What it owns, and for each the offset that it would commit, once it has polled.
    owned: BTreeMap<TopicPartition, Option<i64>>,
    /// What was announced to go; until the next poll it may be committed.
    going: Vec<TopicPartition>,
    /// What it owned before, and how far it had come.
    former: BTreeMap<TopicPartition, i64>,
    commits: u64,
    /// Whether it read something since it last committed.
    behind: bool,
}

/// Lives until its leave is asked for, or its instance id is another's.
pub(crate) fn member() {
    let leave = PathBuf::from(arg("leave"));
    let mut member = Member::start();
    while !leave.exists() {
        if !member.turn() {
            return;
        }
    }
    member.leave();
}

impl Member {
    fn start() -> Self {
        let name = arg("name");
        let session = Duration::from_millis(arg("session").parse().unwrap());
        let engine = directory::open(Path::new(&arg("dir")), OpenOptions::default()).unwrap();
        let settings = Settings {
            topics: arg("topics").split(' ').map(str::to_owned).collect(),
            strategy: arg("strategy"),
            instance: Some(arg("instance")).filter(|id| !id.is_empty()),
            session,
        };
        let consumer: Box<dyn Consumer> = match arg("kind").as_str() {
            "bare" => Box::new(Bare::new(engine, settings)),
            _ => Box::new(Client::new(engine, settings)),
        };
        Self {
            name,
            consumer,
            history: History::create(Path::new(&arg("history"))),
            dice: Dice::new(arg("seed").parse().unwrap()),
            session,
            owned: BTreeMap::new(),
            going: Vec::new(),
            former: BTreeMap::new(),
            commits: 0,
            behind: false,
        }
    }

    /// One poll, and what comes of it. False at the end.
    fn turn(&mut self) -> bool {
        let going = std::mem::take(&mut self.going);
        if !going.is_empty() {
            self.history.write(What::Released(going));
        } else if !self.former.is_empty() && self.dice.chance(10) {
            self.stray();
        }
        let began = self.history.now();
        match self.consumer.poll(POLL) {
            Ok(Step::Assigned(partitions)) => self.assigned(partitions),
            Ok(Step::Revoked(partitions)) => self.revoked(began, partitions),
            Ok(Step::Lost(partitions)) => self.lost(partitions),
            Ok(Step::Records(polled)) => self.work(polled),
            Err(Error::FencedInstanceId { .. }) => {
                self.history.write(What::Fenced);
                return false;
            }
            Err(error) => self.fail(&error),
        }
        true
    }

    fn assigned(&mut self, partitions: Vec<TopicPartition>) {
        for partition in &partitions {
            self.former.remove(partition);
            let before = self.owned.insert(partition.clone(), None);
            assert!(before.is_none(), "{partition} is assigned twice to {}", self.name);
        }
        let generation = self.consumer.generation();
        self.history.write(What::Assigned { generation, partitions });
        self.tell();
    }

    fn revoked(&mut self, began: Duration, partitions: Vec<TopicPartition>) {
        self.history.write_at(began, What::Revoked(partitions.clone()));
        self.commit();
        for partition in &partitions {
            self.part(partition);
        }
        self.going = partitions;
        self.tell();
    }

    fn lost(&mut self, partitions: Vec<TopicPartition>) {
        for partition in &partitions {
            self.part(partition);
        }
        self.history.write(What::Lost(partitions));
        self.tell();
    }

    fn part(&mut self, partition: &TopicPartition) {
        let position = self.owned.remove(partition);
        let position = position.unwrap_or_else(|| panic!("{partition} goes, and was not owned"));
        self.former.extend(position.map(|offset| (partition.clone(), offset)));
    }

    /// To the conductor: what it owns.
    fn tell(&self) {
        let names: Vec<_> = self.owned.keys().map(ToString::to_string).collect();
        say(&format!("owns {}", names.join(" ")));
    }

    fn work(&mut self, polled: Vec<(TopicPartition, i64, i64)>) {
        let idle = polled.is_empty();
        self.behind |= !idle;
        for (partition, from, to) in polled {
            let position = self.owned.get_mut(&partition);
            let position = position.unwrap_or_else(|| panic!("polled {partition}, not owned"));
            *position = Some(to);
            self.history.write(What::Polled { partition, from, to });
        }
        let before = self.history.now();
        std::thread::sleep(self.dice.millis(0, 15));
        // What a member holds that was stopped for long is another's by now. It tries all the same.
        let stopped = self.history.now().saturating_sub(before) > self.session;
        if self.behind && (idle || stopped || self.dice.chance(40)) {
            self.commit();
        }
    }

    /// Commits how far it has come with everything it owns.
    fn commit(&mut self) {
        let positions = self.owned.iter();
        let offsets: Vec<_> =
            positions.filter_map(|(id, offset)| Some((id.clone(), (*offset)?))).collect();
        if !offsets.is_empty() {
            let event = What::Commit { number: self.commits + 1, offsets: offsets.clone() };
            self.behind = !self.try_commit(event, offsets);
        }
    }

    /// Commits something that it does not own any more.
    fn stray(&mut self) {
        let place = self.dice.below(self.former.len());
        let offsets = self.former.clone().into_iter().skip(place).take(1).collect();
        self.try_commit(What::Stray(self.commits + 1), offsets);
    }

    /// Whether it succeeded.
    fn try_commit(&mut self, event: What, offsets: Offsets) -> bool {
        self.commits += 1;
        let number = self.commits;
        self.history.write(event);
        let tagged = |(id, offset)| {
            let metadata = format!("{} {number}", self.name);
            (id, OffsetAndMetadata { offset, metadata, leader_epoch: -1 })
        };
        let tagged: Vec<_> = offsets.into_iter().map(tagged).collect();
        match self.consumer.commit(&tagged) {
            Ok(()) => self.history.write(What::Committed(number)),
            Err(error) if is_refusal(&error) => {
                self.history.write(What::Refused { number, why: error.to_string() });
                return false;
            }
            Err(error) => self.fail(&error),
        }
        true
    }

    fn leave(mut self) {
        self.commit();
        let owned = std::mem::take(&mut self.owned).into_keys().collect();
        self.history.write(What::Released(owned));
        let closed = self.consumer.close();
        match closed {
            Ok(()) => self.history.write(What::Left),
            Err(error) => fail(&self.name, &mut self.history, &error),
        }
    }

    fn fail(&mut self, error: &Error) -> ! {
        fail(&self.name, &mut self.history, error)
    }
}

fn fail(name: &str, history: &mut History, error: &Error) -> ! {
    history.write(What::Failed(error.to_string()));
    panic!("{name}: {error}");
}

/// Whether an error is no fault in a storm: the member is no owner, or one that was stopped holds
/// the group's lock. Nothing was committed then.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::CommitFailed { .. }
            | Error::RebalanceInProgress(_)
            | Error::FencedInstanceId { .. }
            | Error::Timeout { .. }
    )
}

/// Sends records to every partition, until it is told to stop.
pub(crate) fn feeder() {
    let engine = directory::open(Path::new(&arg("dir")), OpenOptions::default()).unwrap();
    let acks = Durability::Written;
    let config = ProducerConfig { acks, ..ProducerConfig::default() };
    let producer = Producer::new(engine, config).unwrap();
    let partitions = crate::history::partitions(&arg("partitions")).unwrap();
    let stop = PathBuf::from(arg("stop"));
    while !stop.exists() {
        for TopicPartition { topic, partition } in &partitions {
            let partition = Some(*partition);
            let key = random::u128().to_be_bytes();
            let (key, value) = (Some(&key[..]), Some(&b"a record"[..]));
            let record = Outgoing { topic, partition, key, value, ..Outgoing::default() };
            producer.send(&record).unwrap();
        }
        std::thread::sleep(Duration::from_millis(8));
    }
    producer.close(None).unwrap();
}

/// Ends segments early, and puts them together again.
pub(crate) fn cleaner() {
    let engine = directory::open(Path::new(&arg("dir")), OpenOptions::default()).unwrap();
    let partitions = crate::history::partitions(&arg("partitions")).unwrap();
    let stop = PathBuf::from(arg("stop"));
    for id in partitions.iter().cycle().take_while(|_| !stop.exists()) {
        let partition = engine.partition(id).unwrap();
        let sealed = partition.seal();
        let compacted = sealed.and_then(|_| partition.compact(engine.env().clock.now()));
        // Somebody who was stopped may hold it up.
        if let Err(error) = compacted
            && !matches!(error, Error::Timeout { .. })
        {
            panic!("{id}: {error}");
        }
    }
}
