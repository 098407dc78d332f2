//! Members of groups, each with an engine of its own as if in another process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use brokerless::coord::group::{Gone, Next, Phase, Strategy};
use brokerless::engine::{Engine, Group, Join, Membership, OpenOptions};
use brokerless::env::Clock;
use brokerless::env::mem::MemDisk;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, TopicPartition};

use crate::support::{ORDERS, append, open, partition};

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

fn named(instance: &str) -> Join {
    Join { instance_id: Some(instance.into()), ..join() }
}

fn group(engine: &Arc<Engine>) -> Arc<Group> {
    partition(engine);
    engine.group("g").unwrap()
}

fn orders(number: i32) -> TopicPartition {
    TopicPartition::new(ORDERS, number)
}

fn at(offset: i64) -> [(TopicPartition, OffsetAndMetadata); 1] {
    [(orders(0), OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 })]
}

/// Does what is next until nothing is left to do; gives what the member owns then.
fn settle(member: &Membership) -> Vec<TopicPartition> {
    loop {
        match member.next().unwrap() {
            Next::Release(partitions) => member.release(&partitions).unwrap(),
            Next::Take(_) => drop(member.take().unwrap()),
            _ => return member.group().state().unwrap().owned(member.uid()),
        }
    }
}

#[test]
fn members_of_two_processes_share_a_topic() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    one.create_topic(ORDERS, Some(3), &[]).unwrap();
    let (one, two) = (group(&one), group(&two));

    let first = one.join(join()).unwrap();
    assert_eq!(settle(&first).len(), 3);
    let second = two.join(join()).unwrap();

    settle(&second);
    settle(&first);
    assert_eq!(settle(&second), [orders(2)]);
    assert_eq!(settle(&first), [orders(0), orders(1)]);
    assert_eq!(two.state().unwrap().phase(), Phase::Stable);
}

#[test]
fn every_change_moves_the_version_and_rings() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let (doorbell, one, two) = (one.doorbell(), group(&one), group(&two));
    let first = one.join(join()).unwrap();
    let (version, rung) = (one.version(), doorbell.value());

    let _second = two.join(join()).unwrap();

    assert_ne!(one.version(), version);
    assert_ne!(doorbell.value(), rung);
    assert_eq!(first.next().unwrap(), Next::Release(Vec::new()));
}

#[test]
fn a_member_that_is_dropped_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let (one, two) = (group(&one), group(&two));
    let first = one.join(join()).unwrap();
    settle(&first);
    let second = two.join(join()).unwrap();

    drop(first);

    assert_eq!(settle(&second), [orders(0)]);
}

#[test]
fn only_the_owner_commits_and_others_only_when_there_are_no_members() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    append(&partition(&one), &["a", "b", "c"]);
    let (engine, one, two) = (one.clone(), group(&one), group(&two));
    two.commit(&at(1)).unwrap();

    let owner = one.join(join()).unwrap();
    let spare = two.join(join()).unwrap();
    settle(&spare);
    settle(&owner);
    settle(&spare);

    owner.commit(&at(2)).unwrap();
    assert!(matches!(spare.commit(&at(3)), Err(Error::CommitFailed { .. })));
    assert!(matches!(two.commit(&at(3)), Err(Error::CommitFailed { .. })));
    assert_eq!(engine.committed_offsets("g").unwrap()[&orders(0)].offset, 2);
    owner.leave().unwrap();
    assert!(matches!(owner.commit(&at(3)), Err(Error::CommitFailed { .. })));
    assert_eq!(owner.next().unwrap(), Next::Gone(Gone::Evicted));
}

#[test]
fn a_process_that_died_is_noticed_at_the_first_look() {
    let disk = MemDisk::new();
    let (doomed, other) = (disk.process(), disk.process());
    let (one, two) = (on(&doomed), on(&other));
    let (one, two) = (group(&one), group(&two));
    let dead = one.join(join()).unwrap();
    settle(&dead);
    let heir = two.join(join()).unwrap();
    assert!(!two.sweep(SECOND).unwrap());

    doomed.kill();

    assert!(two.sweep(SECOND).unwrap());
    assert_eq!(settle(&heir), [orders(0)]);
    assert!(!two.sweep(SECOND).unwrap());
}

#[test]
fn who_joins_takes_out_the_dead_at_once() {
    let disk = MemDisk::new();
    let (doomed, other) = (disk.process(), disk.process());
    let (one, two) = (on(&doomed), on(&other));
    let _dead = group(&one).join(join()).unwrap();
    doomed.kill();

    let member = group(&two).join(join()).unwrap();

    assert_eq!(member.group().state().unwrap().members().count(), 1);
}

#[test]
fn nobody_gets_the_place_of_a_static_member_who_died() {
    let disk = MemDisk::new();
    let (doomed, other) = (disk.process(), disk.process());
    let (one, two) = (on(&doomed), on(&other));
    let _dead = group(&one).join(named("a")).unwrap();
    doomed.kill();

    let member = group(&two).join(join()).unwrap();

    let state = member.group().state().unwrap();
    let slots: std::collections::BTreeSet<_> = state.members().map(|(_, m)| m.slot).collect();
    assert_eq!(slots.len(), 2);
}

fn on(disk: &MemDisk) -> Arc<Engine> {
    Engine::open(std::path::Path::new("/data"), OpenOptions::default(), disk.env()).unwrap()
}

#[test]
fn a_member_that_hangs_is_taken_out_after_its_session_and_its_commits_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    append(&partition(&one), &["a", "b", "c"]);
    let (one, two) = (group(&one), group(&two));
    let hung = one.join(join()).unwrap();
    settle(&hung);
    let heir = two.join(join()).unwrap();
    let look = |halves: u32| {
        heir.beat();
        two.sweep(SECOND / 2 * halves).unwrap()
    };

    // Looks at most half a second apart count in full.
    assert!((0..20).all(|halves| !look(halves)));
    hung.beat();
    assert!((20..40).all(|halves| !look(halves)));
    assert!(look(40));

    assert_eq!(hung.next().unwrap(), Next::Gone(Gone::Evicted));
    assert!(matches!(hung.commit(&at(1)), Err(Error::CommitFailed { .. })));
    assert_eq!(settle(&heir), [orders(0)]);
}

#[test]
fn an_observer_that_was_away_does_not_take_its_absence_for_silence() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let (one, two) = (group(&one), group(&two));
    let _member = one.join(join()).unwrap();
    assert!(!two.sweep(SECOND).unwrap());

    assert!(!two.sweep(1000 * SECOND).unwrap());
}

#[test]
fn a_static_member_that_died_keeps_its_partitions_for_its_session() {
    let disk = MemDisk::new();
    let (doomed, other) = (disk.process(), disk.process());
    let (one, two) = (group(&on(&doomed)), group(&on(&other)));
    let dead = one.join(named("a")).unwrap();
    settle(&dead);
    let spare = two.join(named("b")).unwrap();
    settle(&spare);
    settle(&dead);
    settle(&spare);
    let generation = spare.generation().unwrap();
    doomed.kill();

    let look = |_| {
        disk.clock().advance(SECOND / 2);
        spare.beat();
        two.sweep(disk.clock().monotonic()).unwrap()
    };
    assert!((1..20).all(|halves| !look(halves)));
    // It is back in time.
    let back = two.join(named("a")).unwrap();
    assert_eq!(settle(&back), [orders(0)]);
    assert_eq!(back.generation().unwrap(), generation);
    back.beat();
    assert!(!look(20));

    drop(back);

    assert!((1..20).all(|halves| !look(halves)), "it left without a word");
    assert!(look(20));
    assert_eq!(settle(&spare), [orders(0)]);
}

/// A machine on which a static member lived for a minute and ended as `end` says, and another
/// process that has the directory open.
fn after_a_static_member(end: impl FnOnce(Membership, &MemDisk)) -> (MemDisk, Arc<Engine>) {
    let disk = MemDisk::new();
    let (doomed, engine) = (disk.process(), on(&disk));
    append(&partition(&engine), &["a", "b", "c"]);
    let member = group(&on(&doomed)).join(named("a")).unwrap();
    settle(&member);
    disk.clock().advance(60 * SECOND);
    member.beat();
    end(member, &doomed);
    (disk, engine)
}

fn members(engine: &Arc<Engine>) -> usize {
    engine.describe_group("g").unwrap().unwrap().members.len()
}

/// Kafka's broker does so by a timer.
#[test]
fn a_static_member_that_is_gone_is_no_member_after_its_session_whoever_looks_then() {
    let died = |member: Membership, doomed: &MemDisk| {
        doomed.kill();
        std::mem::forget(member);
    };
    let closed = |member: Membership, _: &MemDisk| drop(member);
    let ends: [fn(Membership, &MemDisk); 2] = [died, closed];
    for (number, end) in ends.into_iter().enumerate() {
        let looks: [fn(&Arc<Engine>) -> bool; 4] = [
            |engine| members(engine) == 0,
            |engine| engine.group("g").unwrap().delete().is_ok(),
            |engine| engine.group("g").unwrap().commit(&at(1)).is_ok(),
            |engine| engine.group("g").unwrap().join(named("b")).unwrap().is_first(),
        ];
        for (which, look) in looks.into_iter().enumerate() {
            let (disk, engine) = after_a_static_member(end);
            disk.clock().advance(SECOND / 1000 * 9_999);
            assert_eq!(members(&engine), 1, "end {number}: it may come back");
            disk.clock().advance(SECOND / 1000);

            assert!(look(&engine), "end {number}, look {which}");
        }
    }
}

/// The whole machine may have been stopped.
#[test]
fn a_static_member_that_hangs_is_judged_by_who_looks_on() {
    let held = std::cell::Cell::new(None);
    let (disk, engine) = after_a_static_member(|member, _| held.set(Some(member)));

    disk.clock().advance(3600 * SECOND);

    assert_eq!(members(&engine), 1);
}

#[test]
fn a_static_member_that_dies_before_its_first_beat_keeps_its_place_for_its_session() {
    let (disk, engine) = after_a_static_member(|member, _| member.leave_for_good().unwrap());
    disk.clock().advance(3600 * SECOND);
    let doomed = disk.process();
    let member = group(&on(&doomed)).join(named("b")).unwrap();
    settle(&member);
    doomed.kill();
    std::mem::forget(member);

    disk.clock().advance(9 * SECOND);
    assert_eq!(members(&engine), 1);
    disk.clock().advance(SECOND);
    assert_eq!(members(&engine), 0);
}

#[test]
fn of_two_with_one_instance_id_the_older_is_fenced() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    append(&partition(&one), &["a", "b", "c"]);
    let (one, two) = (group(&one), group(&two));
    let older = one.join(named("a")).unwrap();
    settle(&older);

    let newer = two.join(named("a")).unwrap();
    settle(&newer);

    assert_eq!(older.next().unwrap(), Next::Gone(Gone::Fenced("a".into())));
    assert!(matches!(older.commit(&at(1)), Err(Error::FencedInstanceId { .. })));
    newer.commit(&at(1)).unwrap();
    drop(older);
    assert_eq!(settle(&newer), [orders(0)]);
}

#[test]
fn generations_go_on_after_all_have_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = group(&open(dir.path())).join(join()).unwrap();
    settle(&first);
    let before = first.generation().unwrap();
    drop(first);

    let engine = open(dir.path());
    assert_eq!(group(&engine).state().unwrap().phase(), Phase::Empty);
    let again = group(&engine).join(join()).unwrap();

    assert!(again.generation().unwrap() > before + 1);
}

#[test]
fn a_group_of_processes_that_all_died_begins_anew_behind_its_generation() {
    let disk = MemDisk::new();
    let doomed = disk.process();
    let lost = group(&on(&doomed)).join(join()).unwrap();
    settle(&lost);
    let before = lost.generation().unwrap();
    doomed.kill();

    let member = group(&on(&disk.process())).join(join()).unwrap();

    assert_eq!(member.group().state().unwrap().members().count(), 1);
    assert_eq!(member.generation().unwrap(), before + 1);
    assert_eq!(settle(&member), [orders(0)]);
}

#[test]
fn a_process_that_dies_at_any_call_leaves_a_group_that_goes_on() {
    let mut calls = 0;
    loop {
        let disk = MemDisk::new();
        let (doomed, other) = (disk.process(), disk.process());
        let two = on(&other);
        append(&partition(&two), &["a", "b", "c"]);
        let heir = group(&two).join(join()).unwrap();
        settle(&heir);
        let ended = works_until(&doomed, calls, &heir);

        group(&two).sweep(SECOND).unwrap();

        assert_eq!(settle(&heir), [orders(0)], "killed at call {calls}");
        heir.commit(&at(3)).unwrap();
        if ended {
            assert!(calls > 20, "only {calls} calls");
            return;
        }
        calls += 1;
    }
}

/// Joins, takes, commits and leaves in a process that dies at call number `last` of its work.
/// Whether it came to the end before.
fn works_until(doomed: &MemDisk, last: usize, other: &Membership) -> bool {
    let begun = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let killer = {
        let (doomed, begun, calls) = (doomed.clone(), begun.clone(), calls.clone());
        move |_| {
            if begun.load(Ordering::SeqCst) && calls.fetch_add(1, Ordering::SeqCst) == last {
                doomed.kill();
            }
        }
    };
    let engine = on(&doomed.clone().with_hook(Arc::new(killer)));
    begun.store(true, Ordering::SeqCst);
    let work = || {
        let member = engine.group("g")?.join(join())?;
        if let Next::Release(partitions) = other.next()? {
            other.release(&partitions)?;
        }
        member.release(&[])?;
        member.take()?;
        if settle(other).is_empty() {
            member.commit(&at(1))?;
        }
        member.leave()
    };
    let outcome: brokerless::Result<()> = work();
    begun.store(false, Ordering::SeqCst);
    doomed.kill();
    outcome.is_ok()
}

#[test]
fn the_files_of_groups_go_when_the_first_process_comes() {
    let dir = tempfile::tempdir().unwrap();
    let files = || {
        let names = std::fs::read_dir(dir.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".brokerless-group")).count()
    };
    let engine = open(dir.path());
    let member = group(&engine).join(join()).unwrap();
    settle(&member);
    let second = open(dir.path());
    assert_eq!(files(), 3);
    drop((member, engine, second));

    let _first = open(dir.path());

    assert_eq!(files(), 0);
}

#[test]
fn a_lock_file_that_somebody_removed_is_made_again_and_shared() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let (one, two) = (group(&one), group(&two));
    let first = one.join(join()).unwrap();
    settle(&first);
    let lock = || {
        let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_lock = |path: &std::path::PathBuf| {
            let ours = path.to_str().unwrap().contains(".brokerless-group");
            ours && path.extension().is_some_and(|extension| extension == "lock")
        };
        names.into_iter().find(is_lock)
    };
    std::fs::remove_file(lock().unwrap()).unwrap();

    first.beat();
    let second = two.join(join()).unwrap();
    let held = std::fs::File::open(lock().unwrap()).unwrap();
    held.lock().unwrap();

    // Both wait for the new file now.
    assert!(matches!(first.release(&[orders(0)]), Err(Error::Timeout { .. })));
    assert!(matches!(second.release(&[]), Err(Error::Timeout { .. })));
    drop(held);
    first.release(&[orders(0)]).unwrap();
}
