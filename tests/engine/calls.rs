//! Every call of the system fails in turn, in every kind of work: an error and no panic, no lock is
//! kept, and the directory is right afterwards.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::coord::group::{Next, Strategy};
use brokerless::engine::{Engine, Join, Membership, OpenOptions, with_patience};
use brokerless::env::Access;
use brokerless::env::mem::{MemDisk, Repeat};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, Result, TopicPartition};

use crate::support::{ORDERS, batch_at, partition, read};

fn open(disk: &MemDisk) -> Result<Arc<Engine>> {
    Engine::open(Path::new("/data"), OpenOptions::default(), disk.env())
}

fn orders() -> TopicPartition {
    TopicPartition::new(ORDERS, 0)
}

/// Does some work as a process in which a call fails. What it gives must be true afterwards: the
/// offset that is committed for group `g`, if it is known.
type Work = fn(&Arc<Engine>) -> Result<Option<i64>>;

/// A directory with a topic of several segments, and a commit.
fn directory() -> MemDisk {
    let disk = MemDisk::new();
    let storage = disk.env().storage;
    storage.create_dir(Path::new("/data")).unwrap();
    let file = storage.open(Path::new("/data/brokerless.properties"), Access::Write).unwrap();
    file.write_at(0, b"offsets.topic.num.partitions=1\n").unwrap();
    let engine = open(&disk).unwrap();
    let settings = [("segment.bytes", "300"), ("cleanup.policy", "compact")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic(ORDERS, None, &settings).unwrap();
    let orders = partition(&engine);
    for n in 0..6 {
        orders.append(&mut batch_at(n, &["a", "b"])).unwrap();
    }
    engine.commit_offsets("g", &at(1)).unwrap();
    disk
}

fn at(offset: i64) -> [(TopicPartition, OffsetAndMetadata); 1] {
    [(orders(), OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 })]
}

/// Another handle can go on at once, and all is as it was said to be.
fn check(disk: &MemDisk, committed: Option<i64>, what: &str) {
    let (process, group) = (disk.process(), "g");
    let engine = open(&process).unwrap_or_else(|error| panic!("{what}: {error}"));
    let log = partition(&engine);
    let before = read(&log);
    assert!(before.iter().map(|(offset, _)| *offset).is_sorted(), "{what}");
    let last = log.append(&mut batch_at(99, &["last"])).unwrap();
    log.sync(last.end_offset).unwrap();
    assert_eq!(read(&log).len(), before.len() + 1, "{what}");
    assert_eq!(read(&log).last(), Some(&(last.base_offset, "last".to_owned())), "{what}");
    let found = engine.committed_offsets(group).unwrap().get(&orders()).map(|it| it.offset);
    assert!(committed.is_none_or(|due| found == Some(due)), "{what}: {found:?} is committed");
    engine.commit_offsets(group, &at(7)).unwrap();
    for topic in engine.topics().unwrap().iter().filter(|topic| !topic.internal) {
        for number in 0..topic.partition_count() {
            let id = TopicPartition::new(topic.name.clone(), number);
            let appended = engine.partition(&id).and_then(|it| it.append(&mut batch_at(0, &["x"])));
            assert!(appended.is_ok(), "{what}: {id} is listed: {appended:?}");
        }
    }
    let name = format!("new-{what}").replace([' ', ','], "-");
    engine.create_topic(&name, Some(2), &[]).unwrap();
    engine.delete_topic(&name).unwrap();
    let member = engine.group("members").unwrap().join(join()).unwrap();
    member.leave().unwrap();
}

/// Lets each call fail, once and from then on; in turn with the directory open elsewhere and not.
fn every_call_fails(prepare: fn(&MemDisk), work: Work) {
    let prepared = directory();
    prepare(&prepared);
    let undisturbed = prepared.copy();
    let process = undisturbed.process();
    work(&open(&process).unwrap()).unwrap();
    let calls = process.calls();
    for (n, repeat) in (1..=calls).flat_map(|n| [(n, Repeat::Once), (n, Repeat::Forever)]) {
        let elsewhere = (n % 2 == 0) == (repeat == Repeat::Once);
        let what = format!("call {n}, {repeat:?}, elsewhere {elsewhere}");
        let disk = prepared.copy();
        let other = elsewhere.then(|| open(&disk).unwrap());
        let process = disk.process();
        process.fail(n, ErrorKind::StorageFull, repeat);
        let done = open(&process).and_then(|engine| {
            let done = work(&engine);
            process.heal();
            // The same handles must work on, but where a sync has failed.
            if let Err(error) = partition_of(&engine).and_then(|it| it.ends()) {
                assert!(matches!(error, Error::Poisoned(_)), "{what}: {error}");
            }
            done
        });
        process.heal();
        drop(other);
        // What is unknown after an error may be the old or the new.
        check(&disk, done.unwrap_or(None), &what);
    }
}

fn partition_of(engine: &Engine) -> Result<Arc<brokerless::engine::Partition>> {
    engine.partition(&orders())
}

fn nothing(_disk: &MemDisk) {}

fn join() -> Join {
    Join {
        client_id: "c".into(),
        instance_id: None,
        topics: vec![ORDERS.into()],
        strategies: vec![Strategy { name: "range".into(), own: false, user_data: Vec::new() }],
        cooperative: false,
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
    }
}

fn settle(member: &Membership) -> Result<()> {
    loop {
        match member.next()? {
            Next::Release(partitions) => member.release(&partitions)?,
            Next::Take(_) => drop(member.take()?),
            _ => return Ok(()),
        }
    }
}

/// Neither the same handle nor another waits.
#[test]
fn an_append_that_failed_at_any_call_holds_up_nobody() {
    let prepared = directory();
    let process = prepared.copy();
    let engine = open(&process).unwrap();
    let log = partition(&engine);
    let before = process.calls();
    log.append(&mut batch_at(1, &["c"])).unwrap();
    for n in 1..=process.calls() - before {
        let disk = prepared.copy();
        let process = disk.process();
        let (engine, other) = (open(&process).unwrap(), open(&disk).unwrap());
        let log = partition(&engine);
        process.fail(n, ErrorKind::StorageFull, Repeat::Once);
        let failed = log.append(&mut batch_at(1, &["c"]));
        process.heal();

        for next in [log, partition(&other)] {
            let append = || next.append(&mut batch_at(2, &["d"]));
            let appended = with_patience(Duration::from_secs(5), append);

            let stopped = matches!(appended, Err(Error::Poisoned(_)));
            assert!(appended.is_ok() || stopped, "call {n}: {failed:?}, then {appended:?}");
        }
    }
}

#[test]
fn any_call_of_an_append_a_roll_or_a_sync_may_fail() {
    every_call_fails(nothing, |engine| {
        let log = partition_of(engine)?;
        for n in 0..6 {
            let appended = log.append(&mut batch_at(n, &["c", "d"]))?;
            if n % 2 == 0 {
                log.sync(appended.end_offset)?;
            }
        }
        Ok(Some(1))
    });
}

#[test]
fn any_call_of_a_group_or_a_commit_may_fail() {
    every_call_fails(nothing, |engine| {
        let group = engine.group("g")?;
        let member = group.join(join())?;
        settle(&member)?;
        member.commit(&at(3))?;
        group.sweep(Duration::ZERO)?;
        member.leave()?;
        group.commit(&at(4))?;
        Ok(Some(4))
    });
}

#[test]
fn any_call_of_a_change_of_topics_may_fail() {
    every_call_fails(nothing, |engine| {
        engine.create_topic("other", Some(2), &[])?;
        let other = TopicPartition::new("other", 1);
        engine.partition(&other)?.append(&mut batch_at(0, &["x"]))?;
        let commit = OffsetAndMetadata { offset: 1, metadata: String::new(), leader_epoch: -1 };
        engine.commit_offsets("g", &[(other, commit)])?;
        engine.create_partitions("other", 3)?;
        engine.delete_topic("other")?;
        Ok(Some(1))
    });
}

#[test]
fn any_call_of_a_compaction_or_of_the_chores_may_fail() {
    every_call_fails(nothing, |engine| {
        partition_of(engine)?.compact(1_000_000)?;
        engine.expire_offsets(1)?;
        engine.do_chores(1_000_000)?;
        Ok(None)
    });
}

#[test]
fn any_call_of_closing_and_opening_may_fail() {
    every_call_fails(
        |disk| drop(open(disk).unwrap()),
        |engine| {
            partition_of(engine)?.append(&mut batch_at(9, &["x"]))?;
            Ok(Some(1))
        },
    );
}
