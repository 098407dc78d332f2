//! One partition in the hands of one member, from its assignment to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brokerless::TopicPartition;

use crate::consumer::UNKNOWN;
use crate::history::{Event, What};

/// What one member wrote down.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) name: String,
    /// Its `group.instance.id`, or nothing.
    pub(crate) instance: String,
    pub(crate) events: Vec<Event>,
}

/// What became of a commit, as the member heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged,
    Refused,
    /// It was killed before it heard.
    Unknown,
}

/// A commit of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    /// When it began.
    pub(crate) at: Duration,
    pub(crate) number: u64,
    pub(crate) offset: i64,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(crate) struct Tenure {
    pub(crate) member: String,
    pub(crate) instance: String,
    pub(crate) partition: TopicPartition,
    pub(crate) generation: i32,
    /// When the member knew that it is the owner.
    pub(crate) from: Duration,
    /// Until when it was the owner for sure: until it was told to give the partition up, or until
    /// it began the last commit that succeeded. It may have been a zombie after that.
    pub(crate) until: Duration,
    /// What it read, in order.
    pub(crate) polled: Vec<(i64, i64)>,
    pub(crate) tries: Vec<Try>,
}

impl Tenure {
    /// The offset at which it began to read.
    pub(crate) fn start(&self) -> Option<i64> {
        self.polled.first().map(|(from, _)| *from)
    }
}

/// All tenures of one member, and what is wrong in its story by itself.
pub(crate) fn of(story: &Story) -> (Vec<Tenure>, Vec<String>) {
    let mut reading = Reading {
        story,
        open: BTreeMap::new(),
        ended: Vec::new(),
        strays: BTreeSet::new(),
        wrong: Vec::new(),
    };
    story.events.iter().for_each(|event| reading.take(event));
    let Reading { open, mut ended, wrong, .. } = reading;
    ended.extend(open.into_values());
    (ended, wrong)
}

struct Reading<'a> {
    story: &'a Story,
    open: BTreeMap<TopicPartition, Tenure>,
    ended: Vec<Tenure>,
    /// Commits of what it did not own.
    strays: BTreeSet<u64>,
    wrong: Vec<String>,
}

impl Reading<'_> {
    fn take(&mut self, event: &Event) {
        match &event.what {
            What::Assigned { generation, partitions } => {
                for partition in partitions {
                    self.assigned(event.at, *generation, partition);
                }
            }
            What::Revoked(partitions) => {
                for partition in partitions {
                    if let Some(tenure) = self.open.get_mut(partition) {
                        tenure.until = tenure.until.max(event.at);
                    }
                }
            }
            What::Released(partitions) | What::Lost(partitions) => {
                let ended = partitions.iter().filter_map(|partition| self.open.remove(partition));
                self.ended.extend(ended);
            }
            What::Polled { partition, from, to } => self.polled(partition, *from, *to),
            What::Commit { number, offsets } => {
                for (partition, offset) in offsets {
                    self.commit(event.at, *number, partition, *offset);
                }
            }
            What::Stray(number) => _ = self.strays.insert(*number),
            What::Committed(number) if self.strays.contains(number) => {
                self.complain(&format!("commit {number}, of what it did not own, succeeded"));
            }
            What::Committed(number) => self.outcome(*number, Outcome::Acknowledged),
            What::Refused { number, .. } => self.outcome(*number, Outcome::Refused),
            What::Fenced => self.ended.extend(std::mem::take(&mut self.open).into_values()),
            What::Left => {}
            What::Failed(why) => self.complain(why),
        }
    }

    fn complain(&mut self, what: &str) {
        self.wrong.push(format!("{}: {what}", self.story.name));
    }

    fn assigned(&mut self, at: Duration, generation: i32, partition: &TopicPartition) {
        let last = self.ended.iter().chain(self.open.values()).map(|tenure| tenure.generation);
        if generation != UNKNOWN && last.max().is_some_and(|last| last > generation) {
            self.complain(&format!("generation {generation} of {partition} goes back"));
        }
        let tenure = Tenure {
            member: self.story.name.clone(),
            instance: self.story.instance.clone(),
            partition: partition.clone(),
            generation,
            from: at,
            until: at,
            polled: Vec::new(),
            tries: Vec::new(),
        };
        if self.open.insert(partition.clone(), tenure).is_some() {
            self.complain(&format!("{partition} is assigned twice"));
        }
    }

    fn polled(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        let Some(tenure) = self.open.get_mut(partition) else {
            return self.complain(&format!("reads {partition} that it does not own"));
        };
        let due = tenure.polled.last().map(|(_, to)| *to);
        tenure.polled.push((from, to));
        if due.is_some_and(|due| due != from) {
            self.complain(&format!("reads {partition} from {from}, {due:?} was due"));
        }
    }

    fn commit(&mut self, at: Duration, number: u64, partition: &TopicPartition, offset: i64) {
        let Some(tenure) = self.open.get_mut(partition) else {
            return self.complain(&format!("commits {partition} that it does not own"));
        };
        tenure.tries.push(Try { at, number, offset, outcome: Outcome::Unknown });
        if tenure.polled.last().is_none_or(|(_, to)| *to != offset) {
            self.complain(&format!("commits {offset} of {partition}, which it has not read"));
        }
    }

    fn outcome(&mut self, number: u64, outcome: Outcome) {
        for tenure in self.open.values_mut() {
            let Some(tried) = tenure.tries.last_mut().filter(|tried| tried.number == number) else {
                continue;
            };
            tried.outcome = outcome;
            if outcome == Outcome::Acknowledged {
                tenure.until = tenure.until.max(tried.at);
            }
        }
    }
}
