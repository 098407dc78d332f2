//! What the simulator found (tests/simulator), each reduced to the plain case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use brokerless::engine::{Engine, OpenOptions, Partition};
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::env::{Access, Storage as _, point};

use crate::support::{ORDERS, append, batch_at, numbered, partition, read};

fn open(disk: &MemDisk) -> Arc<Engine> {
    Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap()
}

/// A process appends, and dies at that point.
fn dies_at(name: &'static str, disk: &MemDisk, value: &str) {
    let dying = disk.process();
    let engine = open(&dying);
    let die = move |point| {
        if point == name {
            dying.kill();
            panic!("killed at {name}");
        }
    };
    let work = || append(&partition(&engine), &[value]);
    let work = AssertUnwindSafe(|| point::with_hook(die, work));
    catch_unwind(work).expect_err("it has died");
}

fn append_each(partition: &Partition, values: &[&str]) {
    for value in values {
        append(partition, &[value]);
    }
}

/// The log is what `values` begin with.
fn is_beginning(partition: &Partition, values: &[&str]) -> bool {
    numbered(values).starts_with(&read(partition))
}

#[test]
fn what_a_dead_process_did_not_live_to_publish_does_not_come_back() {
    let values = ["first", "seen", "later"];
    let disk = MemDisk::new();
    let engine = open(&disk);
    let orders = partition(&engine);
    append(&orders, &values[..1]);
    orders.sync(1).unwrap();
    dies_at("append.written", &disk, "dead");

    // As long as what the dead one wrote, and in its place.
    append_each(&orders, &values[1..]);

    for seed in 0..200 {
        let after = open(&disk.after_crash(seed));
        let left = partition(&after);
        assert!(is_beginning(&left, &values), "seed {seed}: {:?}", read(&left));
    }
}

#[test]
fn what_recovery_cuts_does_not_come_back() {
    let values = ["first", "seen", "later"];
    let disk = MemDisk::new();
    let engine = open(&disk);
    let orders = partition(&engine);
    append(&orders, &values[..1]);
    orders.sync(1).unwrap();
    append(&orders, &["dead"]);
    // Bytes of a batch that nobody published, the last of them damaged.
    let path = Path::new("/data/orders-0/00000000000000000000.log");
    let file = disk.open(path, Access::Write).unwrap();
    let end = file.len().unwrap();
    file.write_at(end - 1, &[0xff]).unwrap();
    let disk = disk.copy();
    let engine = open(&disk);
    let orders = partition(&engine);
    assert_eq!(read(&orders), numbered(&values[..1]));

    append_each(&orders, &values[1..]);

    for seed in 0..200 {
        let after = open(&disk.after_crash(seed));
        let left = partition(&after);
        assert!(is_beginning(&left, &values), "seed {seed}: {:?}", read(&left));
    }
}

/// The list of topics may be on the disk, and no folder, where the sync of both has failed.
#[test]
fn what_is_written_to_a_topic_that_lost_its_folder_has_another_epoch() {
    let mut lost = 0;
    for n in 1..=3 {
        let disk = MemDisk::new();
        let engine = open(&disk);
        disk.fail_call(Call::OpenDir, n, std::io::ErrorKind::Other, Repeat::Once);
        let _ = engine.create_topic(ORDERS, None, &[]);
        append(&partition(&engine), &["seen"]);

        for seed in 0..200 {
            let after = open(&disk.after_crash(seed));
            // If the list is not there either, it is another topic.
            let Some(_) = after.topic(ORDERS).unwrap() else { continue };
            let left = partition(&after);
            let is_empty = read(&left).is_empty();
            assert!(!is_empty || left.leader_epoch().unwrap() > 0, "sync {n}, seed {seed}");
            lost += u32::from(is_empty);
        }
    }
    assert!(lost > 0);
}

/// All have died by then: nobody knows any more what was cut, only that it was not yet over.
#[test]
fn what_somebody_cut_who_died_before_it_was_synced_does_not_come_back() {
    let values = ["first", "seen", "later"];
    let disk = MemDisk::new();
    let engine = open(&disk);
    append(&partition(&engine), &values[..1]);
    partition(&engine).sync(1).unwrap();
    dies_at("append.written", &disk, "dead");
    dies_at("rollback.indexed", &disk, "late");
    let disk = disk.copy();
    // One more who comes and dies, and has not even looked at the log.
    let engine = open(&disk);
    let disk = disk.copy();
    drop(engine);
    let engine = open(&disk);

    append_each(&partition(&engine), &values[1..]);

    for seed in 0..200 {
        let after = open(&disk.after_crash(seed));
        let left = partition(&after);
        assert!(is_beginning(&left, &values), "seed {seed}: {:?}", read(&left));
    }
}

/// A segment that a dead process has begun is removed by the next one, which goes on in the one
/// before. Were its name there again, what was appended then would lie in front of it.
#[test]
fn a_segment_that_a_dead_process_has_begun_does_not_come_back() {
    let values = ["first", "seen", "later"];
    for point in ["roll.created", "roll.named"] {
        let disk = MemDisk::new();
        let engine = open(&disk);
        let settings = [("segment.bytes".to_owned(), "400".to_owned())];
        engine.create_topic(ORDERS, None, &settings).unwrap();
        let orders = partition(&engine);
        append(&orders, &values[..1]);
        orders.sync(1).unwrap();
        dies_at(point, &disk, &"long".repeat(80));
        drop((orders, engine));

        // From here on nobody looks at what was there.
        let engine = open(&disk);
        append_each(&partition(&engine), &values[1..]);

        for seed in 0..200 {
            let after = open(&disk.after_crash(seed));
            let left = partition(&after);
            assert!(is_beginning(&left, &values), "{point}, seed {seed}: {:?}", read(&left));
        }
    }
}

/// A broker refuses a folder whose file of the topic's id is empty.
#[test]
fn what_a_recovery_makes_anew_is_on_the_disk_with_the_next_sync() {
    let disk = MemDisk::new();
    let path = Path::new("/data/orders-0/partition.metadata");
    let before = open(&disk);
    append(&partition(&before), &["seen"]);
    partition(&before).sync(1).unwrap();
    let lost = disk.open(path, Access::Write).unwrap();
    lost.set_len(0).unwrap();
    lost.sync_data().unwrap();
    let disk = disk.after_crash(0);
    let engine = open(&disk);
    let id = engine.topic(ORDERS).unwrap().unwrap().id.to_string();
    let orders = partition(&engine);

    let later = append(&orders, &["later"]);
    orders.sync(later + 1).unwrap();

    for seed in 0..50 {
        let after = disk.after_crash(seed);
        let file = after.open(path, Access::Read).unwrap();
        let mut bytes = [0; 100];
        let len = file.read_at(0, &mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..len]);
        assert!(text.ends_with(&id), "seed {seed}: {text:?}");
    }
}

/// The batch is written whole, and then its index entry fails.
#[test]
fn an_append_that_failed_does_not_come_back() {
    let values = ["first", "seen", "later"];
    let disk = MemDisk::new();
    let engine = open(&disk);
    let settings = [("index.interval.bytes".to_owned(), "10".to_owned())];
    engine.create_topic(ORDERS, None, &settings).unwrap();
    let orders = partition(&engine);
    append(&orders, &values[..1]);
    orders.sync(1).unwrap();
    disk.fail_call(Call::Write, 2, std::io::ErrorKind::StorageFull, Repeat::Once);
    orders.append(&mut batch_at(1_000, &["lost"])).unwrap_err();

    append_each(&orders, &values[1..]);

    for seed in 0..200 {
        let after = open(&disk.after_crash(seed));
        let left = partition(&after);
        assert!(is_beginning(&left, &values), "seed {seed}: {:?}", read(&left));
    }
}
