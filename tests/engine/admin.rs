//! Groups as an administrator sees and changes them, who has an engine of his own.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::coord::group::{Gone, Next, Phase, Strategy};
use brokerless::engine::{
    Engine, Group, Join, MemberToRemove, Membership, OpenOptions, Place, ResetTo,
};
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, IsolationLevel, TopicPartition};

use crate::support::{ORDERS, batch_at, open, open_read_only};

const SECOND: Duration = Duration::from_secs(1);

fn join() -> Join {
    Join {
        client_id: "c".into(),
        instance_id: None,
        topics: vec![ORDERS.into()],
        strategies: vec![Strategy { name: "range".into(), own: false, user_data: Vec::new() }],
        cooperative: false,
        session_timeout: 10 * SECOND,
        rebalance_timeout: 60 * SECOND,
    }
}

fn orders(number: i32) -> TopicPartition {
    TopicPartition::new(ORDERS, number)
}

fn at(offset: i64, metadata: &str) -> OffsetAndMetadata {
    OffsetAndMetadata { offset, metadata: metadata.into(), leader_epoch: -1 }
}

/// Two processes, the first with a member in group `g`, and ten records from second 1 on.
struct Scene {
    dir: tempfile::TempDir,
    theirs: Arc<Engine>,
    ours: Arc<Engine>,
    group: Arc<Group>,
}

fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let (theirs, ours) = (open(dir.path()), open(dir.path()));
    theirs.create_topic(ORDERS, Some(2), &[]).unwrap();
    let values = ["v"; 10];
    theirs.partition(&orders(0)).unwrap().append(&mut batch_at(1_000, &values)).unwrap();
    let group = ours.group("g").unwrap();
    Scene { dir, theirs, ours, group }
}

impl Scene {
    fn member(&self, join: Join) -> Membership {
        let member = self.theirs.group("g").unwrap().join(join).unwrap();
        settle(&member);
        member
    }

    fn committed(&self) -> Vec<i64> {
        let committed = self.theirs.committed_offsets("g").unwrap();
        let mut committed: Vec<_> = committed.into_iter().collect();
        committed.sort_unstable_by_key(|(id, _)| id.partition);
        committed.into_iter().map(|(_, commit)| commit.offset).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.ours.groups().unwrap().into_iter().map(|group| group.id).collect()
    }
}

fn settle(member: &Membership) {
    loop {
        match member.next().unwrap() {
            Next::Release(partitions) => member.release(&partitions).unwrap(),
            Next::Take(_) => drop(member.take().unwrap()),
            _ => return,
        }
    }
}

fn named(member_id: &str) -> MemberToRemove {
    MemberToRemove { member_id: Some(member_id.into()), ..MemberToRemove::default() }
}

fn instance(id: &str) -> MemberToRemove {
    MemberToRemove { instance_id: Some(id.into()), ..MemberToRemove::default() }
}

#[test]
fn a_group_is_described_with_its_members_and_their_processes() {
    let scene = scene();
    let member = scene.member(join());

    let group = scene.ours.describe_group("g").unwrap().unwrap();

    assert_eq!((group.protocol_type, group.phase), ("consumer", Phase::Stable));
    assert_eq!(group.strategy.as_deref(), Some("range"));
    let [described] = &group.members[..] else { panic!("{group:?}") };
    assert_eq!(described.member_id, member.member_id());
    assert_eq!(described.process.pid, std::process::id());
    assert_eq!(described.client_host, "/127.0.0.1");
    assert!(!described.subscription.is_empty() && !described.assignment.is_empty());
}

#[test]
fn a_group_that_is_not_stable_yet_tells_no_assignments() {
    let scene = scene();
    let _member = scene.theirs.group("g").unwrap().join(join()).unwrap();

    let group = scene.ours.describe_group("g").unwrap().unwrap();

    assert_eq!((group.phase, group.strategy), (Phase::PreparingRebalance, None));
    assert_eq!((group.members[0].subscription.len(), group.members[0].assignment.len()), (0, 0));
}

#[test]
fn groups_are_those_with_members_and_those_that_have_committed() {
    let scene = scene();
    assert_eq!(scene.ids(), [""; 0]);
    let member = scene.member(join());
    scene.theirs.commit_offsets("a", &[(orders(0), at(1, ""))]).unwrap();
    // Its strategy is the user's own and has not answered, so nothing is noted of it yet.
    let own = Strategy { name: "mine".into(), own: true, user_data: Vec::new() };
    let waiting = Join { strategies: vec![own], ..join() };
    let _waiting = scene.theirs.group("w").unwrap().join(waiting).unwrap();

    assert_eq!(scene.ids(), ["a", "g", "w"]);
    member.leave().unwrap();
    assert_eq!(scene.ids(), ["a", "g", "w"]);

    let of = |id: &str| scene.ours.describe_group(id).unwrap().unwrap();
    assert_eq!((of("a").protocol_type, of("a").phase), ("", Phase::Empty));
    assert_eq!((of("g").protocol_type, of("g").phase), ("consumer", Phase::Empty));
}

#[test]
fn who_asks_for_a_group_that_is_not_there_makes_no_files() {
    let scene = scene();
    let before = std::fs::read_dir(scene.dir.path()).unwrap().count();

    assert_eq!(scene.ours.describe_group("nothing").unwrap(), None);

    assert_eq!(std::fs::read_dir(scene.dir.path()).unwrap().count(), before);
}

#[test]
fn a_group_whose_files_cannot_be_opened_is_not_said_to_have_no_members() {
    let disk = MemDisk::new();
    let (one, two) = (disk.process(), disk.process());
    let open = |disk: &MemDisk| {
        Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap()
    };
    let (theirs, ours) = (open(&one), open(&two));
    theirs.create_topic(ORDERS, None, &[]).unwrap();
    let _member = theirs.group("g").unwrap().join(join()).unwrap();
    two.fail_call(Call::Open, 1, ErrorKind::Other, Repeat::Once);

    let refused = ours.describe_group("g");

    assert!(matches!(refused, Err(Error::Io { op: "open", .. })), "{refused:?}");
}

#[test]
fn a_directory_that_is_read_only_shows_its_groups() {
    let scene = scene();
    let member = scene.member(join());
    member.commit(&[(orders(0), at(1, ""))]).unwrap();

    let reader = open_read_only(scene.dir.path());

    let groups = reader.groups().unwrap();
    assert_eq!((&*groups[0].id, groups[0].phase), ("g", Phase::Empty));
}

#[test]
fn a_member_that_was_taken_out_loses_its_partitions_and_may_join_again() {
    let scene = scene();
    let member = scene.member(join());

    let removed = scene.group.remove_members(&[named(member.member_id()), named("x")]).unwrap();

    assert!(removed[0].is_ok());
    assert!(matches!(removed[1], Err(Error::UnknownMemberId { .. })), "{removed:?}");
    assert_eq!(member.next().unwrap(), Next::Gone(Gone::Evicted));
    let refused = member.commit(&[(orders(0), at(1, ""))]);
    assert!(matches!(refused, Err(Error::CommitFailed { .. })), "{refused:?}");
    let again = scene.member(join());
    assert_eq!(scene.group.state().unwrap().owned(again.uid()).len(), 2);
}

#[test]
fn a_static_member_is_known_by_its_instance_and_by_both_ids_together() {
    let scene = scene();
    let member = scene.member(Join { instance_id: Some("i".into()), ..join() });
    let both = |id: &str| MemberToRemove { instance_id: Some("i".into()), ..named(id) };

    let refused = scene.group.remove_members(&[instance("other"), both("other")]).unwrap();
    assert!(matches!(refused[0], Err(Error::UnknownMemberId { .. })), "{refused:?}");
    assert!(matches!(refused[1], Err(Error::FencedInstanceId { .. })), "{refused:?}");

    let removed = scene.group.remove_members(&[both(member.member_id())]).unwrap();
    assert!(removed[0].is_ok(), "{removed:?}");
    let member = scene.member(Join { instance_id: Some("i".into()), ..join() });
    let removed = scene.group.remove_members(&[instance("i")]).unwrap();
    assert!(removed[0].is_ok(), "{removed:?}");
    assert_eq!(member.next().unwrap(), Next::Gone(Gone::Evicted));
}

#[test]
fn members_of_a_group_that_is_not_there_are_not_known() {
    let removed = scene().group.remove_members(&[named("x")]).unwrap();

    assert!(matches!(removed[..], [Err(Error::UnknownMemberId { .. })]), "{removed:?}");
}

#[test]
fn offsets_are_altered_while_there_are_no_members_each_by_itself() {
    let scene = scene();
    let wanted = [(orders(0), at(3, "m")), (orders(7), at(1, "")), (orders(1), at(0, "x"))];

    let altered = scene.group.alter_offsets(&wanted).unwrap();

    assert!(altered[0].is_ok() && altered[2].is_ok(), "{altered:?}");
    assert!(matches!(altered[1], Err(Error::UnknownTopicOrPartition(_))), "{altered:?}");
    assert_eq!(scene.theirs.committed_offsets("g").unwrap()[&orders(0)], at(3, "m"));
    assert_eq!(scene.committed(), [3, 0]);
}

#[test]
fn offsets_of_a_live_group_are_its_members_alone() {
    let scene = scene();
    let member = scene.member(join());
    member.commit(&[(orders(0), at(5, ""))]).unwrap();

    let altered = scene.group.alter_offsets(&[(orders(0), at(3, ""))]).unwrap();
    let reset = scene.group.reset_offsets(&[(orders(0), ResetTo::At(Place::Earliest))]).unwrap();
    let tried =
        scene.theirs.preview_reset("g", &[(orders(0), ResetTo::At(Place::Earliest))]).unwrap();

    assert!(matches!(altered[0], Err(Error::UnknownMemberId { .. })), "{altered:?}");
    assert!(matches!(reset[0].outcome, Err(Error::UnknownMemberId { .. })), "{reset:?}");
    assert!(matches!(tried[0].outcome, Err(Error::UnknownMemberId { .. })), "{tried:?}");
    assert_eq!(scene.committed(), [5]);
}

#[test]
fn offsets_are_reset_by_every_rule_and_stay_within_the_log() {
    let scene = scene();
    let cases = [
        (ResetTo::At(Place::Earliest), 0),
        (ResetTo::At(Place::Latest), 10),
        (ResetTo::At(Place::Time(1_004)), 4),
        (ResetTo::At(Place::Time(99_999)), 10),
        (ResetTo::At(Place::MaxTimestamp), 9),
        (ResetTo::At(Place::Tiered), 10),
        (ResetTo::Offset(7), 7),
        (ResetTo::Offset(70), 10),
        (ResetTo::Offset(-1), 10),
        (ResetTo::Shift(-2), 3),
        (ResetTo::Shift(2), 7),
        (ResetTo::Shift(-20), 0),
        (ResetTo::Shift(20), 10),
    ];
    for (rule, due) in cases {
        scene.group.alter_offsets(&[(orders(0), at(5, "kept"))]).unwrap();

        let tried = scene.theirs.preview_reset("g", &[(orders(0), rule)]).unwrap();
        assert_eq!((tried[0].offset, scene.committed()), (due, vec![5]), "{rule:?}");
        let reset = scene.group.reset_offsets(&[(orders(0), rule)]).unwrap();

        assert!(reset[0].outcome.is_ok(), "{reset:?}");
        assert_eq!(reset[0].offset, due, "{rule:?}");
        assert_eq!(scene.theirs.committed_offsets("g").unwrap()[&orders(0)], at(due, "kept"));
    }
}

#[test]
fn what_was_never_committed_is_not_shifted() {
    let shifted = scene().group.reset_offsets(&[(orders(0), ResetTo::Shift(1))]);

    assert!(matches!(shifted, Err(Error::InvalidArgument(_))), "{shifted:?}");
}

#[test]
fn offsets_that_members_need_are_not_deleted_and_others_are() {
    let scene = scene();
    scene.theirs.create_topic("other", Some(1), &[]).unwrap();
    let other = TopicPartition::new("other", 0);
    scene.group.alter_offsets(&[(orders(0), at(1, "")), (other.clone(), at(0, ""))]).unwrap();
    let member = scene.member(join());

    let partitions = [orders(0), other, TopicPartition::new("nothing", 0)];
    let deleted = scene.group.delete_offsets(&partitions).unwrap();

    assert!(matches!(deleted[0], Err(Error::GroupSubscribedToTopic { .. })), "{deleted:?}");
    assert!(deleted[1].is_ok(), "{deleted:?}");
    assert!(matches!(deleted[2], Err(Error::UnknownTopicOrPartition(_))), "{deleted:?}");
    assert_eq!(scene.committed(), [1]);
    member.leave().unwrap();
    assert!(scene.group.delete_offsets(&[orders(0)]).unwrap()[0].is_ok());
    assert_eq!(scene.committed(), [0; 0]);
}

#[test]
fn only_an_empty_group_is_deleted_and_nothing_is_left_of_it() {
    let scene = scene();
    let member = scene.member(join());
    member.commit(&[(orders(0), at(5, ""))]).unwrap();
    assert!(matches!(scene.group.delete(), Err(Error::GroupNotEmpty(_))));
    assert_eq!(scene.committed(), [5]);
    member.leave().unwrap();

    scene.group.delete().unwrap();

    assert_eq!((scene.ids(), scene.committed()), (vec![], vec![]));
    assert!(matches!(scene.group.delete(), Err(Error::GroupIdNotFound(_))));
    assert!(matches!(scene.group.delete_offsets(&[orders(0)]), Err(Error::GroupIdNotFound(_))));
}

#[test]
fn a_group_that_was_deleted_begins_anew() {
    let scene = scene();
    scene.member(join()).leave().unwrap();
    scene.group.delete().unwrap();

    let _member = scene.member(join());

    assert_eq!(scene.ids(), ["g"]);
    assert_eq!(scene.ours.describe_group("g").unwrap().unwrap().phase, Phase::Stable);
}

#[test]
fn what_was_deleted_stays_deleted_after_a_restart() {
    let Scene { dir, theirs, ours, group } = scene();
    group.alter_offsets(&[(orders(0), at(5, ""))]).unwrap();
    group.delete().unwrap();
    drop((group, ours, theirs));

    let engine = open(dir.path());

    assert!(engine.groups().unwrap().is_empty());
    assert!(engine.committed_offsets("g").unwrap().is_empty());
}

#[test]
fn a_log_is_looked_up_by_place_and_by_time() {
    let scene = scene();
    let orders = |number| scene.ours.partition(&orders(number)).unwrap();
    let of = |number, place| {
        let found = orders(number).look_up(place, IsolationLevel::ReadUncommitted).unwrap();
        found.map(|found| (found.offset, found.timestamp, found.leader_epoch))
    };

    assert_eq!(of(0, Place::Latest), Some((10, -1, 0)));
    assert_eq!(of(0, Place::Earliest), Some((0, -1, 0)));
    assert_eq!(of(0, Place::MaxTimestamp), Some((9, 1_009, 0)));
    assert_eq!(of(0, Place::Time(1_004)), Some((4, 1_004, 0)));
    assert_eq!(of(0, Place::Time(1_010)), None);
    assert_eq!(of(0, Place::Tiered), None);
    assert_eq!(of(1, Place::MaxTimestamp), None);
}

#[test]
fn places_have_kafkas_numbers() {
    let places: Vec<_> = (-6..=0).map(Place::from_number).collect();

    let named = [Place::Tiered, Place::Earliest, Place::MaxTimestamp, Place::Earliest];
    assert_eq!(places[0], None);
    assert_eq!(places[1..5], named.map(Some));
    assert_eq!(places[5..], [Some(Place::Latest), Some(Place::Time(0))]);
}

#[test]
fn what_was_taken_back_does_not_come_back_after_a_power_loss() {
    let disk = MemDisk::new();
    let open = |disk: &MemDisk| {
        Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap()
    };
    let engine = open(&disk);
    engine.create_topic(ORDERS, Some(2), &[]).unwrap();
    let (whole, part) = (engine.group("whole").unwrap(), engine.group("part").unwrap());
    for group in [&whole, &part] {
        let commits = [(orders(0), at(0, "")), (orders(1), at(0, ""))];
        assert!(group.alter_offsets(&commits).unwrap().iter().all(Result::is_ok));
    }

    whole.delete().unwrap();
    part.delete_offsets(&[orders(1)]).unwrap();

    for seed in 0..20 {
        let after = open(&disk.after_crash(seed));
        assert!(after.describe_group("whole").unwrap().is_none(), "seed {seed}");
        let left = after.committed_offsets("part").unwrap();
        assert_eq!(left.into_keys().collect::<Vec<_>>(), [orders(0)], "seed {seed}");
    }
}
