//! Compaction where something is in its way: damage, somebody else who compacts, or a reader whose
//! view is from before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brokerless::engine::{Cursor, Engine, OpenOptions, with_patience};
use brokerless::env::mem::MemDisk;
use brokerless::env::{Access, point};
use brokerless::record::BatchInfo;
use brokerless::{Corruption, Error, IsolationLevel, TopicPartition};

use crate::compaction::{append, batch, logs, model, open, partition, read_from, sizes, state};
use crate::support::ORDERS;

/// A batch: its base offset, the file it is in and its place there.
type Place = (i64, PathBuf, u64);

/// The batches of each segment.
fn batches(disk: &MemDisk) -> Vec<Vec<Place>> {
    let (env, dir) = (disk.env(), Path::new("/data/orders-0"));
    let names = env.storage.list(dir).unwrap().into_iter().map(|entry| entry.name);
    let mut logs: Vec<_> = names.filter(|name| name.len() == 24 && name[20..] == *".log").collect();
    logs.sort();
    let of = |name: &String| {
        let path = dir.join(name);
        let file = env.storage.open(&path, Access::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        let (mut at, mut found) = (0, Vec::new());
        while at < bytes.len() {
            let info = BatchInfo::parse(&bytes[at..]).unwrap();
            found.push((info.base_offset, path.clone(), at as u64));
            at += info.size;
        }
        found
    };
    logs.iter().map(of).collect()
}

/// Gives a batch another base offset, which its checksum does not cover.
fn renumber(disk: &MemDisk, (_, path, position): &Place, offset: i64) {
    let file = disk.env().storage.open(path, Access::Update).unwrap();
    file.write_at(*position, &offset.to_be_bytes()).unwrap();
}

#[test]
fn a_batch_whose_offset_is_damaged_ends_a_compaction_before_anything_is_lost() {
    for (segment, is_last, offset) in
        [(0, true, 32), (0, true, 1 << 40), (0, false, -1), (1, false, 0), (1, true, 0)]
    {
        let disk = MemDisk::new();
        let engine = open(&disk).unwrap();
        let orders = partition(&engine).unwrap();
        (0..40).for_each(|n| append(&orders, n).unwrap());
        let (before, sizes_before) = (read_from(&orders, 0), sizes(&disk));
        let batches = &batches(&disk)[segment];
        let hit = if is_last { batches.last() } else { batches.first() }.unwrap();
        renumber(&disk, hit, offset);

        let compacted = orders.compact(0);

        let Err(Error::CorruptRecord { path, position, what }) = compacted else {
            panic!("{segment}, {offset}: {compacted:?}");
        };
        assert_eq!((&path, position), (&hit.1, hit.2), "{segment}, {offset}");
        assert!(matches!(what, Corruption::Offset { .. }), "{what}");
        assert_eq!(sizes(&disk), sizes_before, "{segment}, {offset}");
        renumber(&disk, hit, hit.0);
        assert_eq!(read_from(&orders, 0), before, "{segment}, {offset}");
    }
}

#[test]
fn who_only_reads_looks_again_where_the_log_he_knew_ends_in_the_middle_of_nothing() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let orders = partition(&engine).unwrap();
    let put = |key| orders.append(&mut batch(&[(key, Some("1"))])).map(drop).unwrap();
    put("once");
    (0..3).for_each(|_| put("often"));
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let looking = Engine::open(Path::new("/data"), options, disk.env()).unwrap();
    let looking = looking.partition(&TopicPartition::new(ORDERS, 0)).unwrap();
    assert_eq!(looking.ends().unwrap().log_end_offset, 4);

    (0..8).for_each(|_| put("often"));
    assert!(orders.compact(0).unwrap());

    let mut cursor = Cursor::new(2);
    let chunk = looking.read(&mut cursor, 200, IsolationLevel::ReadUncommitted).unwrap();
    assert_eq!(BatchInfo::parse(&chunk.bytes).unwrap().base_offset, read_from(&orders, 2)[0].0);
}

#[test]
fn who_only_reads_finds_all_at_whatever_moment_a_log_is_compacted() {
    for n in 1.. {
        let disk = MemDisk::new();
        let engine = open(&disk).unwrap();
        let orders = partition(&engine).unwrap();
        (0..24).for_each(|n| append(&orders, n).unwrap());
        assert!(orders.compact(0).unwrap());
        (24..30).for_each(|n| append(&orders, n).unwrap());
        let calls = Arc::new(AtomicU64::new(0));
        let counted = calls.clone();
        // It puts segments together.
        let hook = Arc::new(move |_| {
            if counted.fetch_add(1, Ordering::Relaxed) == n {
                assert!(orders.compact(0).unwrap());
            }
        });
        let looking = disk.process().with_hook(hook);
        let options = OpenOptions { read_only: true, ..OpenOptions::default() };
        let looking = Engine::open(Path::new("/data"), options, looking.env()).unwrap();
        let orders = looking.partition(&TopicPartition::new(ORDERS, 0)).unwrap();

        assert_eq!(orders.ends().unwrap().log_end_offset, 60, "call {n}");
        assert_eq!(state(&read_from(&orders, 0)), model(30), "call {n}");

        if calls.load(Ordering::Relaxed) <= n {
            assert!(n > 20, "only {n} calls");
            return;
        }
    }
}

#[test]
fn who_asks_for_a_compaction_is_not_told_that_it_is_done_while_another_is_at_it() {
    let disk = MemDisk::new();
    let (engine, other) = (open(&disk).unwrap(), open(&disk.process()).unwrap());
    let (here, there) = (partition(&engine).unwrap(), partition(&other).unwrap());
    (0..24).for_each(|n| append(&here, n).unwrap());
    let asks = move |name| {
        if name == "compact.written" {
            let asked = with_patience(Duration::from_millis(1), || there.compact(0));
            assert!(matches!(asked, Err(Error::Timeout { .. })), "{asked:?}");
        }
    };

    assert!(point::with_hook(asks, || here.compact(0)).unwrap());

    assert_eq!(state(&read_from(&here, 0)), model(24));
}

#[test]
fn who_waits_for_another_to_compact_what_is_there_does_not_seal_it_again_and_again() {
    let disk = MemDisk::new();
    let (engine, other) = (open(&disk).unwrap(), open(&disk.process()).unwrap());
    let (here, there) = (partition(&engine).unwrap(), partition(&other).unwrap());
    (0..25).for_each(|n| append(&here, n).unwrap());
    let asks = {
        let disk = disk.clone();
        move |name| {
            if name == "compact.written" {
                let segments = logs(&disk);
                let asked = with_patience(Duration::from_millis(1), || there.compact_all(0));
                assert!(asked.is_err(), "{asked:?}");
                assert_eq!(logs(&disk), segments);
            }
        }
    };

    point::with_hook(asks, || here.compact(0)).unwrap();

    assert!(here.compact_all(0).unwrap());
    assert_eq!(sizes(&disk).last(), Some(&0));
}
