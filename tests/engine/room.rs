//! Room ahead of a log's end (`preallocate`).

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use brokerless::engine::{Engine, OpenOptions, Partition};
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::env::{Access, Env};
use brokerless::{Error, TopicPartition};

use crate::support::{ORDERS, append, batch_at, copy_folder, numbered, read, read_from};

const LOG: &str = "orders-0/00000000000000000000.log";
const SEGMENT: u64 = 600;

/// The directory with its topic, whose segments have room.
fn open(dir: &Path, env: Env) -> Result<Arc<Engine>, Error> {
    let engine = Engine::open(dir, OpenOptions::default(), env)?;
    if engine.topic(ORDERS)?.is_none() {
        let settings = [("preallocate", "true"), ("segment.bytes", "600")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        engine.create_topic(ORDERS, None, &settings)?;
    }
    Ok(engine)
}

fn orders(engine: &Engine) -> Arc<Partition> {
    engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap()
}

fn on_disk(dir: &Path) -> (Arc<Engine>, Arc<Partition>) {
    let engine = open(dir, Env::system()).unwrap();
    let orders = orders(&engine);
    (engine, orders)
}

fn in_memory(disk: &MemDisk) -> (Arc<Engine>, Arc<Partition>) {
    let engine = open(Path::new("/data"), disk.env()).unwrap();
    let orders = orders(&engine);
    (engine, orders)
}

/// The bytes of the first segment.
fn bytes_of(disk: &MemDisk) -> Vec<u8> {
    let file = disk.env().storage.open(&Path::new("/data").join(LOG), Access::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn len(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len()
}

#[test]
fn the_active_segment_is_as_long_as_it_may_become_and_sealed_ones_hold_batches_only() {
    let dir = tempfile::tempdir().unwrap();
    let (_engine, orders) = on_disk(dir.path());
    append(&orders, &["a"]);
    let batch = batch_at(1_000, &["a"]).len() as u64;
    assert_eq!(len(&dir.path().join(LOG)), SEGMENT);

    let held = SEGMENT / batch;
    for _ in 0..held {
        append(&orders, &["a"]);
    }

    assert_eq!(len(&dir.path().join(LOG)), held * batch);
    assert_eq!(len(&dir.path().join(format!("orders-0/{held:020}.log"))), SEGMENT);
    assert_eq!(read(&orders).len() as u64, held + 1);
}

#[test]
fn closing_gives_the_room_back_and_the_next_append_takes_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, orders) = on_disk(dir.path());
    append(&orders, &["a", "b"]);

    drop((engine, orders));

    assert_eq!(len(&dir.path().join(LOG)), batch_at(1_000, &["a", "b"]).len() as u64);
    let (_engine, orders) = on_disk(dir.path());
    assert_eq!(read(&orders), numbered(&["a", "b"]));
    append(&orders, &["c"]);
    assert_eq!(len(&dir.path().join(LOG)), SEGMENT);
}

#[test]
fn the_end_of_a_closed_log_survives_a_crash_of_the_machine() {
    let disk = MemDisk::new();
    let (engine, orders) = in_memory(&disk);
    append(&orders, &["a"]);
    orders.sync(1).unwrap();
    drop((engine, orders));

    let after = disk.after_crash(0);

    assert_eq!(bytes_of(&after).len(), batch_at(1_000, &["a"]).len());
}

#[test]
fn recovery_finds_the_end_in_zeros() {
    for forget_the_boot in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (_engine, orders) = on_disk(dir.path());
        append(&orders, &["a", "b"]);
        let end = batch_at(1_000, &["a", "b"]).len() as u64;
        let copy = tempfile::tempdir().unwrap();
        copy_folder(dir.path(), copy.path());
        if forget_the_boot {
            std::fs::remove_file(copy.path().join(".brokerless-control")).unwrap();
        }
        assert_eq!(len(&copy.path().join(LOG)), SEGMENT);

        let (_engine, orders) = on_disk(copy.path());

        assert_eq!(read(&orders), numbered(&["a", "b"]));
        assert_eq!(len(&copy.path().join(LOG)), end, "forgotten: {forget_the_boot}");
        assert_eq!(append(&orders, &["c"]), 2);
    }
}

#[test]
fn a_segment_without_a_batch_is_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let (_engine, orders) = on_disk(dir.path());
    append(&orders, &["a", "b"]);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    std::fs::write(copy.path().join("orders-0/00000000000000000002.log"), [0; 600]).unwrap();

    let (_engine, orders) = on_disk(copy.path());

    assert_eq!(read(&orders), numbered(&["a", "b"]));
    assert_eq!(append(&orders, &["c"]), 2);
    assert_eq!(len(&copy.path().join(LOG)), batch_at(1_000, &["a", "b"]).len() as u64);
    assert_eq!(read_from(&orders, 2), [(2, "c".to_owned())]);
}

#[test]
fn who_only_reads_sees_a_live_log_that_has_room() {
    let dir = tempfile::tempdir().unwrap();
    let (_engine, orders) = on_disk(dir.path());
    append(&orders, &["a", "b"]);

    let other = crate::support::open_read_only(dir.path());

    assert_eq!(read(&crate::support::partition(&other)), numbered(&["a", "b"]));
    assert_eq!(len(&dir.path().join(LOG)), SEGMENT);
}

#[test]
fn zeros_in_place_of_what_was_synced_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, orders) = on_disk(dir.path());
    append(&orders, &["a"]);
    let first = batch_at(1_000, &["a"]).len();
    append(&orders, &["b"]);
    drop((engine, orders));
    let log = dir.path().join(LOG);
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[first..].fill(0);
    std::fs::write(&log, &bytes).unwrap();

    let (_engine, orders) = on_disk(dir.path());
    let refused = orders.ends();

    assert!(matches!(refused, Err(Error::CorruptRecord { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&log).unwrap(), bytes);
}

#[test]
fn a_failed_append_leaves_zeros_in_the_room() {
    let disk = MemDisk::new();
    let (_engine, orders) = in_memory(&disk);
    append(&orders, &["a"]);
    let end = batch_at(1_000, &["a"]).len();
    disk.fail_call(Call::Write, 1, ErrorKind::StorageFull, Repeat::Once);

    assert!(orders.append(&mut batch_at(1_000, &["longer than before"])).is_err());

    let bytes = bytes_of(&disk);
    assert!(bytes[end..].iter().all(|byte| *byte == 0));
    assert_eq!(append(&orders, &["b"]), 1);
    assert_eq!(bytes_of(&disk).len() as u64, SEGMENT);
}

#[test]
fn what_a_dead_process_left_in_the_room_is_cut_by_the_next() {
    let disk = MemDisk::new();
    let (_engine, orders) = in_memory(&disk);
    append(&orders, &["a"]);
    let end = batch_at(1_000, &["a"]).len();
    let other = disk.process();
    let (_other_engine, others) = in_memory(&other);
    append(&others, &["b"]);
    // It can neither write nor undo that.
    other.fail_call(Call::Write, 1, ErrorKind::Other, Repeat::Once);
    other.fail_call(Call::SetLen, 1, ErrorKind::Other, Repeat::Forever);
    assert!(others.append(&mut batch_at(1_000, &["x".repeat(200).as_str()])).is_err());
    assert!(bytes_of(&disk)[2 * end..].iter().any(|byte| *byte != 0));

    assert_eq!(append(&orders, &["c"]), 2);

    assert!(bytes_of(&disk)[3 * end..].iter().all(|byte| *byte == 0));
    assert_eq!(read(&orders), numbered(&["a", "b", "c"]));
}

#[test]
fn a_disk_that_gives_no_room_is_no_error() {
    let disk = MemDisk::new();
    let (_engine, orders) = in_memory(&disk);
    orders.ends().unwrap();
    disk.fail_call(Call::SetLen, 1, ErrorKind::StorageFull, Repeat::Forever);

    append(&orders, &["a"]);

    assert_eq!(append(&orders, &["b"]), 1);
    assert_eq!(bytes_of(&disk).len(), 2 * batch_at(1_000, &["a"]).len());
}

/// Appends numbered values; tells those that are on the disk for sure.
fn work(env: Env, acknowledged: &Mutex<Vec<(i64, String)>>) -> Result<(), Error> {
    let engine = open(Path::new("/data"), env)?;
    let partition = engine.partition(&TopicPartition::new(ORDERS, 0))?;
    let mut written = Vec::new();
    for n in 0..12 {
        let value = n.to_string();
        let Ok(appended) = partition.append(&mut batch_at(n, &[&value])) else { continue };
        written.push((appended.base_offset, value));
        if n % 3 == 2 && partition.sync(appended.end_offset).is_ok() {
            acknowledged.lock().unwrap().append(&mut written);
        }
    }
    Ok(())
}

fn check(disk: &MemDisk, acknowledged: &[(i64, String)], what: &str) {
    let (_engine, orders) = in_memory(disk);
    let found = read(&orders);
    for record in acknowledged {
        assert!(found.contains(record), "{what}: {record:?} is lost, {found:?} are there");
    }
    assert!(found.iter().map(|(offset, _)| *offset).eq(0..found.len() as i64), "{found:?}");
    assert_eq!(append(&orders, &["last"]), found.len() as i64, "{what}");
}

#[test]
fn a_crash_before_every_call_loses_nothing_that_was_acknowledged() {
    const SEEDS: u64 = 1;
    let disk = MemDisk::new();
    let acknowledged: Arc<Mutex<Vec<_>>> = Arc::default();
    let crashes = Arc::new(AtomicU64::new(0));
    let hook = {
        let (disk, acknowledged, crashes) = (disk.clone(), acknowledged.clone(), crashes.clone());
        Arc::new(move |_| {
            let so_far = acknowledged.lock().unwrap().clone();
            let call = crashes.fetch_add(1, Ordering::Relaxed);
            for seed in call * SEEDS..(call + 1) * SEEDS {
                check(&disk.after_crash(seed), &so_far, &format!("call {call}, seed {seed}"));
            }
        })
    };

    work(disk.clone().with_hook(hook).env(), &acknowledged).unwrap();

    assert_eq!(acknowledged.lock().unwrap().len(), 12);
    assert!(crashes.load(Ordering::Relaxed) > 100);
}

#[test]
fn every_call_that_fails_once_loses_nothing() {
    let whole = MemDisk::new();
    work(whole.env(), &Mutex::default()).unwrap();
    for n in 1..=whole.calls() {
        let disk = MemDisk::new();
        let acknowledged = Mutex::default();
        disk.fail(n, ErrorKind::StorageFull, Repeat::Once);
        let _ = work(disk.env(), &acknowledged);
        disk.heal();

        let acknowledged = acknowledged.into_inner().unwrap();
        check(&disk.after_crash(n), &acknowledged, &format!("call {n}, crash"));
        check(&disk, &acknowledged, &format!("call {n}"));
    }
}
