//! What consumers of one group promise each other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerless::client::{Consumer, Step};
use brokerless::config::{Assignor, ConsumerConfig};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, TopicPartition};

use crate::ahead::Ahead;
use crate::shared::{SECOND, World, filled, in_group, read, topics, tp};

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

/// Partitions of `t` in a directory whose time a test lets pass.
fn with_time(partitions: i32) -> (World, Arc<Ahead>) {
    let clock = Arc::new(Ahead::default());
    let world = World::with_clock(clock.clone());
    world.engine.create_topic("t", Some(partitions), &[]).unwrap();
    (world, clock)
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
fn an_eager_member_who_waits_is_not_told_again_that_nothing_goes() {
    let world = filled(3, 1);
    let mut one = Member::new(&world, in_group("g"));
    settle(&mut [&mut one]);
    let (mut two, mut three) =
        (Member::new(&world, in_group("g")), Member::new(&world, in_group("g")));

    // The first is busy meanwhile.
    let steps = |member: &mut Member| (0..5).for_each(|_| member.step().unwrap());
    steps(&mut two);
    steps(&mut three);
    steps(&mut two);
    settle(&mut [&mut one, &mut two, &mut three]);

    assert_eq!(two.heard(), [("revoked", vec![]), ("assigned", vec![1])]);
}

#[test]
fn a_new_group_waits_for_more_members_before_it_shares_anything() {
    let world = World::with_properties("group.initial.rebalance.delay.ms=100");
    world.engine.create_topic("t", Some(2), &[]).unwrap();
    let mut one = Member::new(&world, in_group("g"));
    one.step().unwrap();
    assert_eq!(one.heard(), []);
    let mut two = Member::new(&world, in_group("g"));

    settle(&mut [&mut one, &mut two]);

    assert_eq!(one.heard(), [("revoked", vec![]), ("assigned", vec![0])]);
    assert_eq!(two.heard(), [("revoked", vec![]), ("assigned", vec![1])]);
}

#[test]
fn a_directory_says_how_long_and_how_short_a_session_timeout_may_be() {
    let world = World::with_properties(
        "group.min.session.timeout.ms=20000\ngroup.max.session.timeout.ms=30000",
    );
    world.engine.create_topic("t", Some(1), &[]).unwrap();
    let with = |seconds| {
        let session_timeout = Duration::from_secs(seconds);
        Member::new(&world, ConsumerConfig { session_timeout, ..in_group("g") }).step()
    };

    for refused in [19, 31] {
        assert!(matches!(with(refused), Err(Error::InvalidSessionTimeout { .. })), "{refused}");
    }
    for taken in [20, 30] {
        with(taken).unwrap();
    }
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

#[test]
fn a_standing_tells_the_generation_of_the_assignment_until_there_is_another() {
    let world = filled(2, 1);
    let (mut one, mut two) =
        (Member::new(&world, in_group("g")), Member::new(&world, in_group("g")));
    let generation = |member: &Member| member.consumer.standing().unwrap().unwrap().generation;
    settle(&mut [&mut one]);
    let first = generation(&one);

    two.step().unwrap();

    assert_eq!(generation(&one), first);
    settle(&mut [&mut one, &mut two]);
    assert_eq!(generation(&one), first + 1);
}

#[test]
fn a_member_commits_for_what_it_owns_and_nobody_else_does() {
    let world = filled(2, 1);
    let manual = || ConsumerConfig { enable_auto_commit: false, ..in_group("g") };
    let (mut one, mut two) = (Member::new(&world, manual()), Member::new(&world, manual()));
    let commit = |consumer: &Consumer, partition| consumer.commit(Some(&[(tp(partition), at(1))]));
    assert!(matches!(commit(&one.consumer, 0), Err(Error::CommitFailed { .. })), "no member yet");
    settle(&mut [&mut one, &mut two]);
    let stranger = world.consumer(manual());
    stranger.0.assign(&[tp(0)]).unwrap();

    assert!(matches!(commit(&one.consumer, 1), Err(Error::CommitFailed { .. })), "not its own");
    assert!(matches!(commit(&stranger.0, 0), Err(Error::CommitFailed { .. })), "no member");
    assert!(commit(&one.consumer, 0).is_ok());

    one.consumer.close(true).unwrap();
    two.consumer.close(true).unwrap();
    assert!(commit(&stranger.0, 1).is_ok(), "the group is empty");
    assert_eq!(stranger.0.committed(&tp(0)).unwrap(), Some(at(1)));
}

#[test]
fn a_commit_in_the_middle_of_a_rebalance_says_so() {
    let world = filled(2, 1);
    let mut one = Member::new(&world, in_group("g"));
    settle(&mut [&mut one]);
    let mut two = Member::new(&world, in_group("g"));
    two.step().unwrap();

    until(&mut [&mut one], |all| all[0].told.len() == 3);
    let while_revoked = one.consumer.commit(Some(&[(tp(0), at(1))]));
    one.step().unwrap();
    let released = one.consumer.commit(Some(&[(tp(0), at(1))]));

    assert!(while_revoked.is_ok());
    assert!(matches!(released, Err(Error::RebalanceInProgress(_))), "{released:?}");
}

#[test]
fn positions_are_committed_before_a_partition_moves() {
    let world = filled(2, 3);
    let mut one = Member::new(&world, in_group("g"));
    until(&mut [&mut one], |all| all[0].records.len() == 6);

    let mut two = Member::new(&world, in_group("g"));
    settle(&mut [&mut one, &mut two]);
    world.fill("t", 1, [9]);
    until(&mut [&mut one, &mut two], |all| !all[1].records.is_empty());

    assert_eq!(two.records, [(1, 3, 9)]);
}

#[test]
fn a_cooperative_member_keeps_place_and_pause_of_what_stays() {
    let world = filled(2, 3);
    let mut one =
        Member::new(&world, ConsumerConfig { enable_auto_commit: false, ..cooperative("g") });
    until(&mut [&mut one], |all| all[0].records.len() == 6);
    one.consumer.pause(&[tp(0), tp(1)]).unwrap();

    let mut two = Member::new(&world, cooperative("g"));
    settle(&mut [&mut one, &mut two]);

    let stays = one.consumer.assignment();
    assert_eq!(stays.len(), 1);
    assert_eq!(one.consumer.paused(), stays);
    assert_eq!(one.consumer.position(&stays[0]).unwrap(), 3);
}

#[test]
fn an_eager_member_begins_anew_at_what_was_committed() {
    let world = filled(2, 3);
    let manual = || ConsumerConfig { enable_auto_commit: false, ..in_group("g") };
    let mut one = Member::new(&world, manual());
    until(&mut [&mut one], |all| all[0].records.len() == 6);
    one.consumer.pause(&[tp(0)]).unwrap();

    let mut two = Member::new(&world, manual());
    settle(&mut [&mut one, &mut two]);

    assert_eq!((one.owns(), one.consumer.paused()), (vec![0], vec![]));
    assert_eq!(one.consumer.position(&tp(0)).unwrap(), 0);
}

#[test]
fn who_does_not_poll_for_too_long_loses_its_partitions_and_joins_again() {
    let (world, clock) = with_time(2);
    let max_poll_interval = 20 * SECOND;
    let mut slow = Member::new(&world, ConsumerConfig { max_poll_interval, ..in_group("g") });
    settle(&mut [&mut slow]);
    let mut other = Member::new(&world, in_group("g"));
    settle(&mut [&mut slow, &mut other]);
    let before = slow.consumer.standing().unwrap().unwrap();
    slow.heard();

    clock.advance(max_poll_interval);
    until(&mut [&mut other], |all| all[0].owns().len() == 2);
    let refused = slow.consumer.commit(Some(&[(tp(0), at(1))]));
    settle(&mut [&mut slow, &mut other]);

    assert!(matches!(refused, Err(Error::CommitFailed { .. })));
    assert_eq!(slow.heard(), [("lost", vec![0]), ("assigned", vec![1])]);
    assert_ne!(slow.consumer.standing().unwrap().unwrap().member_id, before.member_id);
}

#[test]
fn a_static_member_that_comes_back_moves_nothing() {
    let world = filled(2, 1);
    let fixed = |id: &str| ConsumerConfig { group_instance_id: Some(id.into()), ..in_group("g") };
    let (mut one, mut two) = (Member::new(&world, fixed("one")), Member::new(&world, fixed("two")));
    settle(&mut [&mut one, &mut two]);
    let (had, generation) = (two.owns(), two.consumer.standing().unwrap().unwrap().generation);
    one.heard();

    two.consumer.close(true).unwrap();
    let mut back = Member::new(&world, fixed("two"));
    settle(&mut [&mut one, &mut back]);

    assert_eq!(back.owns(), had);
    assert_eq!(back.consumer.standing().unwrap().unwrap().generation, generation);
    assert_eq!(one.heard(), []);
}

#[test]
fn of_two_static_members_of_one_id_the_older_is_fenced() {
    let world = filled(1, 1);
    let fixed = ConsumerConfig { group_instance_id: Some("i".into()), ..in_group("g") };
    let mut older = Member::new(&world, fixed.clone());
    settle(&mut [&mut older]);
    older.heard();

    let mut newer = Member::new(&world, fixed);
    settle(&mut [&mut newer]);

    let commit = older.consumer.commit(Some(&[(tp(0), at(1))]));
    assert!(matches!(commit, Err(Error::FencedInstanceId { .. })));
    older.step().unwrap();
    assert_eq!(older.heard(), [("lost", vec![0])]);
    for _ in 0..2 {
        assert!(matches!(older.step(), Err(Error::FencedInstanceId { .. })));
    }
    assert_eq!(newer.owns(), [0]);
}

#[test]
fn a_strategy_of_the_user_is_run_by_the_member_that_leads() {
    let world = filled(2, 1);
    let mine = Assignor { name: "mine".into(), cooperative: false, own: true };
    let config = || ConsumerConfig { assignors: vec![mine.clone()], ..in_group("g") };
    let mut one = Member::new(&world, config());
    one.consumer.describe(vec![("mine".into(), b"one".to_vec())]).unwrap();

    assert!(matches!(one.consumer.poll(PATIENCE, 1).unwrap(), Step::Revoked(_)));
    for _ in 0..2 {
        let Step::Assign(task) = one.consumer.poll(PATIENCE, 1).unwrap() else { panic!() };
        assert_eq!((&*task.strategy, task.partitions["t"], task.members.len()), ("mine", 2, 1));
        assert_eq!(task.members[0].user_data, b"one");
        let twice = vec![(task.members[0].member_id.clone(), vec![tp(1), tp(1)].into())];
        let refused = one.consumer.assigned(task.generation, twice);
        assert!(matches!(refused, Err(Error::InvalidAssignment { .. })));
    }
    let Step::Assign(task) = one.consumer.poll(PATIENCE, 1).unwrap() else { panic!() };
    let target = vec![(task.members[0].member_id.clone(), vec![tp(1)].into())];
    one.consumer.assigned(task.generation, target).unwrap();
    settle(&mut [&mut one]);

    assert_eq!(one.owns(), [1]);
}

#[test]
fn a_member_that_leaves_or_is_dropped_makes_room() {
    let world = filled(3, 1);
    let mut members: Vec<_> = (0..3).map(|_| Member::new(&world, in_group("g"))).collect();
    settle(&mut members.iter_mut().collect::<Vec<_>>());
    let (mut stays, dropped, leaves) =
        (members.swap_remove(0), members.swap_remove(0), members.swap_remove(0));

    leaves.consumer.unsubscribe().unwrap();
    drop(dropped);
    until(&mut [&mut stays], |all| all[0].owns().len() == 3);

    assert_eq!(leaves.consumer.standing().unwrap(), None);
}

#[test]
fn spare_members_stand_by_and_take_over() {
    let world = filled(1, 1);
    let mut first = Member::new(&world, in_group("g"));
    let mut spare = Member::new(&world, in_group("g"));
    settle(&mut [&mut first, &mut spare]);
    assert_eq!((first.owns(), spare.owns()), (vec![0], vec![]));

    drop(first);
    until(&mut [&mut spare], |all| all[0].owns() == [0]);
}

#[test]
fn what_a_member_subscribes_to_may_change() {
    let world = filled(1, 1);
    world.engine.create_topic("u", Some(1), &[]).unwrap();
    let mut one = Member::new(&world, in_group("g"));
    let mut two = Member::new(&world, in_group("g"));
    settle(&mut [&mut one, &mut two]);

    two.consumer.subscribe(&topics(&["t", "u"])).unwrap();
    until(&mut [&mut one, &mut two], |all| !all[1].owns().is_empty());
    settle(&mut [&mut one, &mut two]);

    assert_eq!(two.consumer.assignment(), [TopicPartition::new("u", 0)]);
    assert_eq!(one.owns(), [0]);
}

#[test]
fn members_without_a_common_strategy_are_refused_and_the_group_goes_on() {
    let world = filled(1, 1);
    let mut one = Member::new(&world, in_group("g"));
    settle(&mut [&mut one]);
    let mut other = Member::new(&world, cooperative("g"));

    assert!(matches!(other.step(), Err(Error::InconsistentGroupProtocol(_))));
    settle(&mut [&mut one]);
    one.consumer.close(true).unwrap();
    settle(&mut [&mut other]);

    assert_eq!(other.owns(), [0]);
}

#[test]
fn a_topic_that_was_deleted_does_not_keep_the_others_from_being_committed() {
    let world = filled(1, 3);
    world.engine.create_topic("u", Some(1), &[]).unwrap();
    world.fill("u", 0, 0..3);
    let mut one =
        Member::new(&world, ConsumerConfig { auto_commit_interval: PATIENCE, ..in_group("g") });
    one.consumer.unsubscribe().unwrap();
    one.consumer.subscribe_pattern(Arc::new(|_| true)).unwrap();
    until(&mut [&mut one], |all| all[0].records.len() == 6);

    world.engine.delete_topic("u").unwrap();
    until(&mut [&mut one], |all| all[0].consumer.assignment() == [tp(0)]);

    assert_eq!(one.consumer.committed(&tp(0)).unwrap().unwrap().offset, 3);
}

#[test]
fn a_member_that_does_not_poll_for_a_while_shows_that_it_lives() {
    let world = filled(1, 1);
    let session_timeout = Duration::from_millis(300);
    let heartbeat_interval = Duration::from_millis(100);
    let mut one = Member::new(
        &world,
        ConsumerConfig { session_timeout, heartbeat_interval, ..in_group("g") },
    );
    settle(&mut [&mut one]);
    let before = one.consumer.standing().unwrap();

    std::thread::sleep(4 * session_timeout);

    assert_eq!(one.consumer.standing().unwrap(), before);
}

#[test]
fn who_closes_after_its_membership_ended_has_lost_its_partitions() {
    let (world, clock) = with_time(1);
    let max_poll_interval = 20 * SECOND;
    let mut slow = Member::new(&world, ConsumerConfig { max_poll_interval, ..in_group("g") });
    settle(&mut [&mut slow]);
    let before = slow.consumer.farewell().unwrap();

    clock.advance(max_poll_interval);
    let started = Instant::now();
    while slow.consumer.standing().unwrap().is_some() {
        assert!(started.elapsed() < PATIENCE, "it does not leave");
    }

    assert!(matches!(before, Some(Step::Revoked(all)) if all == [tp(0)]));
    let after = slow.consumer.farewell().unwrap();
    assert!(matches!(after, Some(Step::Lost(all)) if all == [tp(0)]));
}

#[test]
fn nothing_is_given_up_before_its_position_could_be_committed() {
    let world = filled(2, 3);
    let mut one = Member::new(&world, in_group("g"));
    until(&mut [&mut one], |all| all[0].records.len() == 6);
    let mut two = Member::new(&world, in_group("g"));
    two.step().unwrap();
    one.heard();
    let files = std::fs::read_dir(world.path()).unwrap().map(|entry| entry.unwrap().path());
    let lock = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "lock"));
    let stopped = std::fs::File::open(lock.unwrap()).unwrap();
    stopped.lock().unwrap();

    one.step().unwrap();
    assert_eq!(one.heard(), []);
    stopped.unlock().unwrap();
    settle(&mut [&mut one, &mut two]);

    assert_eq!(two.consumer.position(&tp(1)).unwrap(), 3);
}
