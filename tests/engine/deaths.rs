//! Processes that die at a named point of recovery: who comes next finds what would have been
//! found without them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use brokerless::TopicPartition;
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::mem::MemDisk;
use brokerless::env::{Access, Env, point};

use crate::support::{ORDERS, append, batch_at, partition, read};

const FOLDER: &str = "/data/orders-0";

fn open(env: Env) -> Arc<Engine> {
    Engine::open(Path::new("/data"), OpenOptions::default(), env).unwrap()
}

/// A machine after a crash: a log of several segments whose last batches are torn, with an empty
/// segment behind them.
fn torn() -> MemDisk {
    let disk = MemDisk::new();
    let storage = disk.env().storage;
    let engine = open(disk.env());
    let settings = [("segment.bytes".to_owned(), "300".to_owned())];
    engine.create_topic(ORDERS, None, &settings).unwrap();
    let orders = partition(&engine);
    for n in 0..8 {
        orders.append(&mut batch_at(n, &[&n.to_string()])).unwrap();
    }
    let files = storage.list(Path::new(FOLDER)).unwrap();
    let logs = files.iter().filter(|entry| entry.name.strip_suffix(".log").is_some());
    let newest = logs.map(|entry| Path::new(FOLDER).join(&entry.name)).max().unwrap();
    let log = storage.open(&newest, Access::Update).unwrap();
    log.write_at(log.len().unwrap(), &[7; 30]).unwrap();
    storage.open(&Path::new(FOLDER).join(format!("{:020}.log", 10)), Access::Write).unwrap();
    disk.after_crash(1)
}

/// The records, and the names of the logs.
fn found(disk: &MemDisk) -> (Vec<(i64, String)>, Vec<String>) {
    let engine = open(disk.process().env());
    let records = read(&partition(&engine));
    let folder = disk.env().storage.list(Path::new(FOLDER)).unwrap();
    let mut names: Vec<_> = folder.into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.contains(".log"));
    names.sort_unstable();
    (records, names)
}

/// Lets a process die at that point of recovery.
fn die_at(name: &'static str, disk: &MemDisk) {
    let dying = disk.process();
    let env = dying.env();
    let die = move |point| {
        if point == name {
            dying.kill();
            panic!("killed at {name}");
        }
    };
    let recover = AssertUnwindSafe(|| point::with_hook(die, || partition(&open(env)).ends()));
    catch_unwind(recover).map(drop).expect_err("it has died");
}

#[test]
fn whoever_dies_in_a_recovery_changes_nothing_for_the_next() {
    let undisturbed = found(&torn());
    assert_eq!(undisturbed.0.len(), 8);
    for name in [
        "recovery.metadata",
        "recovery.settled",
        "recovery.walked",
        "recovery.quarantined",
        "recovery.cut",
        "recovery.replayed",
        "recovery.synced",
        "recovery.epochs",
        "recovery.done",
        "recovery.filled",
    ] {
        let disk = torn();

        die_at(name, &disk);

        assert_eq!(found(&disk), undisturbed, "at {name}");
    }
}

/// Opens the directory as the first, stops at that point, says so, and dies when it is told to.
fn die_when_told(
    name: &'static str,
    dying: MemDisk,
    here: Sender<()>,
    told: Receiver<()>,
) -> JoinHandle<()> {
    let told = Mutex::new(told);
    thread::spawn(move || {
        let env = dying.env();
        let die = move |point| {
            if point == name {
                here.send(()).unwrap();
                told.lock().unwrap().recv().unwrap();
                dying.kill();
                panic!("killed at {name}");
            }
        };
        let opening = AssertUnwindSafe(|| point::with_hook(die, || open(env)));
        catch_unwind(opening).map(drop).expect_err("it has died");
    })
}

/// Found by the simulator: the list of topics still named the pages of the file before, and the
/// next topic was given pages that others had.
#[test]
fn who_waits_for_one_that_dies_in_opening_a_directory_opens_it_anew() {
    for name in ["open.unmarked", "control.ready", "open.emptied", "open.written", "open.kept"] {
        let disk = MemDisk::new();
        append(&partition(&open(disk.env())), &["old"]);
        let ((here, is_here), (tell, told)) = (channel(), channel());
        let dying = Mutex::new(Some(die_when_told(name, disk.process(), here, told)));
        is_here.recv().unwrap();
        // The first to look for the lock of one who is alone.
        let wait = move |point| {
            let dying = if point == "open.locked" { dying.lock().unwrap().take() } else { None };
            if let Some(dying) = dying {
                tell.send(()).unwrap();
                dying.join().unwrap();
            }
        };

        let engine = point::with_hook(wait, || open(disk.process().env()));
        let orders = partition(&engine);
        assert_eq!(read(&orders), [(0, "old".to_owned())], "at {name}");
        engine.create_topic("new", None, &[]).unwrap();
        let new = engine.partition(&TopicPartition::new("new", 0)).unwrap();

        assert_eq!(append(&new, &["new"]), 0, "at {name}");
        assert_eq!(append(&orders, &["more"]), 1, "at {name}");
        assert_eq!(read(&new), [(0, "new".to_owned())], "at {name}");
    }
}

/// Found by the simulator: what was synced of one log was taken for another's.
#[test]
fn who_dies_in_opening_a_directory_leaves_no_pages_that_are_taken_for_others() {
    let disk = MemDisk::new();
    let killed = disk.process();
    let engine = open(killed.env());
    engine.create_topic("z", Some(2), &[]).unwrap();
    let log = |engine: &Engine, topic, number| {
        engine.partition(&TopicPartition::new(topic, number)).unwrap()
    };
    append(&log(&engine, "z", 1), &["1", "2"]);
    log(&engine, "z", 1).sync(2).unwrap();
    append(&partition(&engine), &["a", "b"]);
    killed.kill();
    drop(engine);
    let ((here, is_here), (tell, told)) = (channel(), channel());
    let dying = die_when_told("open.surveyed", disk.process(), here, told);
    is_here.recv().unwrap();
    tell.send(()).unwrap();
    dying.join().unwrap();

    let engine = open(disk.process().env());
    partition(&engine).sync(2).unwrap();

    for seed in 0..20 {
        let after = open(disk.after_crash(seed).env());
        assert_eq!(read(&partition(&after)).len(), 2, "SEED={seed}");
    }
}

/// Lets a process die at the first pass of that point of a call.
fn die_in(name: &'static str, disk: &MemDisk, call: impl FnOnce(&Engine)) {
    let dying = disk.process();
    let engine = open(dying.env());
    let die = move |point| {
        if point == name {
            dying.kill();
            panic!("killed at {name}");
        }
    };
    let call = AssertUnwindSafe(|| point::with_hook(die, || call(&engine)));
    catch_unwind(call).map(drop).expect_err("it has died");
}

/// Found by the simulator: who had listed the deletion died before the list was on the disk, and the
/// next renamed a folder that a power loss left behind the list as it was before.
#[test]
fn who_goes_on_with_a_deletion_moves_no_folder_before_the_list_is_on_the_disk() {
    let disk = MemDisk::new();
    let engine = open(disk.env());
    engine.create_topic(ORDERS, Some(2), &[]).unwrap();
    append(&partition(&engine), &["a"]);
    partition(&engine).sync(1).unwrap();
    engine.do_chores(i64::MAX).unwrap();
    die_in("replace.renamed", &disk, |engine| engine.delete_topic(ORDERS).unwrap());
    die_in("delete.renamed", &disk, |engine| drop(engine.create_topic("other", None, &[])));

    for seed in 0..20 {
        let after = open(disk.after_crash(seed).env());

        let orders = TopicPartition::new(ORDERS, 0);
        assert!(
            after.topic(ORDERS).unwrap().is_none()
                || read(&after.partition(&orders).unwrap()) == [(0, "a".to_owned())],
            "SEED={seed}"
        );
    }
}

/// Found by the simulator: the folders were made after the list.
#[test]
fn a_topic_that_somebody_saw_stays_though_its_maker_dies_and_all_others() {
    let disk = MemDisk::new();
    let seeing = disk.process();
    let engine = open(seeing.env());
    die_in("replace.renamed", &disk, |engine| {
        drop(engine.create_topic(ORDERS, Some(2), &[]));
    });
    assert!(engine.topic(ORDERS).unwrap().is_some());
    seeing.kill();
    drop(engine);

    let topic = open(disk.process().env()).topic(ORDERS).unwrap();

    assert_eq!(topic.map(|topic| topic.partition_count()), Some(2));
}

/// Found by the simulator: the one who made the folder died before its name was on the disk.
#[test]
fn what_is_synced_in_a_topic_whose_maker_died_survives_a_crash() {
    for name in ["replace.renamed", "topics.written"] {
        let disk = MemDisk::new();
        let engine = open(disk.env());
        die_in(name, &disk, |engine| drop(engine.create_topic(ORDERS, Some(2), &[])));
        let orders = partition(&engine);
        append(&orders, &["a"]);
        orders.sync(1).unwrap();

        for seed in 0..20 {
            let after = open(disk.after_crash(seed).env());
            assert_eq!(read(&partition(&after)), [(0, "a".to_owned())], "{name}, SEED={seed}");
        }
    }
}

#[test]
fn the_folders_of_who_died_in_making_a_topic_or_partitions_count_for_nothing() {
    let disk = MemDisk::new();
    die_in("replace.written", &disk, |engine| drop(engine.create_topic(ORDERS, Some(3), &[])));
    let partitions = || {
        let topic = open(disk.process().env()).topic(ORDERS).unwrap();
        topic.map(|topic| topic.partition_count())
    };
    assert_eq!(partitions(), None);

    open(disk.process().env()).create_topic(ORDERS, Some(1), &[]).unwrap();
    assert_eq!(partitions(), Some(1));

    die_in("replace.written", &disk, |engine| drop(engine.create_partitions(ORDERS, 3)));
    assert_eq!(partitions(), Some(1));
    open(disk.process().env()).create_partitions(ORDERS, 2).unwrap();
    assert_eq!(partitions(), Some(2));
}

/// Lets a process die at that point of an append.
fn die_appending(name: &'static str, disk: &MemDisk) {
    let dying = disk.process();
    let env = dying.env();
    let die = move |point| {
        if point == name {
            dying.kill();
            panic!("killed at {name}");
        }
    };
    let append = AssertUnwindSafe(|| {
        point::with_hook(die, || append(&partition(&open(env)), &["never published"]))
    });
    catch_unwind(append).map(drop).expect_err("it has died");
}

/// Found by the simulator: all that was left had been synced, so nobody synced the cut.
#[test]
fn what_somebody_cut_who_died_at_it_does_not_come_back_after_a_clean_close() {
    // Also behind a note of how far the log was synced.
    let cases = [("rollback.cut", false), ("rollback.indexed", false), ("rollback.cut", true)];
    for (last, noted) in cases {
        let disk = MemDisk::new();
        let first = disk.process();
        let engine = open(first.env());
        append(&partition(&engine), &["a"]);
        partition(&engine).sync(1).unwrap();
        if noted {
            engine.do_chores(i64::MAX).unwrap();
        }
        die_appending("append.written", &disk);
        let log = Path::new(FOLDER).join(format!("{:020}.log", 0));
        disk.env().storage.open(&log, Access::Update).unwrap().sync_data().unwrap();
        die_appending(last, &disk);
        first.kill();
        drop(engine);

        drop(open(disk.process().env()));
        let engine = open(disk.process().env());
        append(&partition(&engine), &["b"]);

        for seed in 0..20 {
            let after = open(disk.after_crash(seed).env());
            let records = read(&partition(&after));
            let due = [(0, "a".to_owned()), (1, "b".to_owned())];
            assert_eq!(records, due[..records.len()], "{last} {noted}, SEED={seed}");
        }
    }
}

/// Found by the simulator: who had looked for a lock of his own while the last one closed the
/// directory came in beside nobody, and the mark of a clean shutdown stayed.
#[test]
fn who_comes_while_the_last_one_closes_the_directory_takes_the_mark_away() {
    let disk = MemDisk::new();
    append(&partition(&open(disk.env())), &["a"]);
    let ((here, is_here), (tell, told)) = (channel(), channel::<()>());
    let (closing, told) = (disk.process(), Mutex::new(told));
    let closing = thread::spawn(move || {
        let engine = open(closing.env());
        let stop = move |point| {
            if point == "close.last" {
                here.send(()).unwrap();
                told.lock().unwrap().recv().unwrap();
            }
        };
        point::with_hook(stop, || drop(engine));
    });
    is_here.recv().unwrap();
    let closing = Mutex::new(Some(closing));
    let wait = move |point| {
        let closing = if point == "open.locked" { closing.lock().unwrap().take() } else { None };
        if let Some(closing) = closing {
            tell.send(()).unwrap();
            closing.join().unwrap();
        }
    };

    let engine = point::with_hook(wait, || open(disk.process().env()));

    let names = disk.env().storage.list(Path::new("/data")).unwrap();
    assert!(names.iter().all(|entry| entry.name != ".kafka_cleanshutdown"));
    assert_eq!(read(&partition(&engine)), [(0, "a".to_owned())]);
}
