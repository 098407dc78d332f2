//! What consumers of one group promise each other.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use brokerless::client::{Consumer, Step};
use brokerless::config::{Assignor, ConsumerConfig};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, TopicPartition};

use crate::shared::{World, filled, in_group, read, topics, tp};

const PATIENCE: Duration = Duration::from_secs(20);

/// A member that notes what it is told, in a word and the partitions' numbers.
struct Member {
    consumer: Consumer,
    told: Vec<(&'static str, Vec<i32>)>,
    records: Vec<(i32, i64, u32)>,
}

impl Member {
    fn new(world: &World, config: ConsumerConfig) -> Self {
        let consumer = Consumer::new(world.engine.clone(), config).unwrap();
        consumer.subscribe(&topics(&["t"])).unwrap();
        Self { consumer, told: Vec::new(), records: Vec::new() }
    }

    /// One step, without waiting.
    fn step(&mut self) -> Result<(), Error> {
        match self.consumer.poll(Duration::ZERO, 500)? {
            Step::Revoked(all) => self.told.push(("revoked", numbers(&all))),
            Step::Assigned(all) => self.told.push(("assigned", numbers(&all))),
            Step::Lost(all) => self.told.push(("lost", numbers(&all))),
            Step::Records(polled) => self.records.extend(read(&polled)),
            Step::Interrupted => {}
            Step::Assign(task) => panic!("{task:?}"),
        }
        Ok(())
    }

    fn owns(&self) -> Vec<i32> {
        numbers(&self.consumer.assignment())
    }

    /// What it was told since the last time.
    fn heard(&mut self) -> Vec<(&'static str, Vec<i32>)> {
        std::mem::take(&mut self.told)
    }

    fn is_stable(&self) -> bool {
        self.consumer.standing().unwrap().is_some_and(|standing| standing.is_stable)
    }
}

fn numbers(partitions: &[TopicPartition]) -> Vec<i32> {
    partitions.iter().map(|id| id.partition).collect()
}

/// Lets all of them poll in turn until everybody has what he should.
#[track_caller]
fn settle(members: &mut [&mut Member]) {
    until(members, |members| members.iter().all(|member| member.is_stable()));
}

#[track_caller]
fn until(members: &mut [&mut Member], done: impl Fn(&[&mut Member]) -> bool) {
    let started = Instant::now();
    loop {
        for member in &mut *members {
            member.step().unwrap();
        }
        if done(members) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "the group does not settle");
    }
}

fn cooperative(group: &str) -> ConsumerConfig {
    let assignors = vec![Assignor::builtin("cooperative-sticky").unwrap()];
    ConsumerConfig { assignors, ..in_group(group) }
}

fn at(offset: i64) -> OffsetAndMetadata {
    OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 }
}

#[test]
fn two_members_of_a_process_share_the_partitions() {
    let world = filled(4, 5);
    let (mut one, mut two) =
        (Member::new(&world, in_group("g")), Member::new(&world, in_group("g")));

    settle(&mut [&mut one, &mut two]);

    assert_eq!((one.owns(), two.owns()), (vec![0, 1], vec![2, 3]));
    until(&mut [&mut one, &mut two], |all| all.iter().all(|member| member.records.len() == 10));
    let all: BTreeSet<_> = one.records.iter().chain(&two.records).collect();
    assert_eq!(all.len(), 20);
}

#[test]
fn an_eager_member_gives_everything_up_and_is_told_so_also_of_nothing() {
    let world = filled(2, 1);
    let mut one = Member::new(&world, in_group("g"));
    settle(&mut [&mut one]);
    assert_eq!(one.heard(), [("revoked", vec![]), ("assigned", vec![0, 1])]);

    let mut two = Member::new(&world, in_group("g"));
    settle(&mut [&mut one, &mut two]);

    assert_eq!(one.heard(), [("revoked", vec![0, 1]), ("assigned", vec![0])]);
    assert_eq!(two.heard(), [("revoked", vec![]), ("assigned", vec![1])]);
}

#[test]
fn a_cooperative_member_is_told_only_of_what_moves() {
    let world = filled(2, 1);
    let mut one = Member::new(&world, cooperative("g"));
    settle(&mut [&mut one]);
    assert_eq!(one.heard(), [("assigned", vec![0, 1])]);

    let mut two = Member::new(&world, cooperative("g"));
    settle(&mut [&mut one, &mut two]);

    let moved = two.owns();
    assert_eq!(moved.len(), 1);
    assert_eq!(one.heard(), [("revoked", moved.clone())]);
    assert_eq!(two.heard(), [("assigned", moved)]);
}
