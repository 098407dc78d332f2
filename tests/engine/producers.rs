//! What a log remembers of producers with ids when a segment is sealed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Access;
use brokerless::env::mem::{Call, MemDisk};

use crate::compaction::{batch, logs, marker, open, partition, transactional};

#[test]
fn a_transaction_that_has_ended_is_not_open_again_when_its_segment_was_sealed() {
    for committed in [true, false] {
        let disk = MemDisk::new();
        let engine = open(&disk).unwrap();
        let log = partition(&engine).unwrap();
        log.append(&mut transactional(0, "a", "1")).unwrap();
        log.append(&mut marker(committed)).unwrap();
        while logs(&disk) < 2 {
            log.append(&mut batch(&[("pad", Some("0"))])).unwrap();
        }
        drop((log, engine));

        let engine = open(&disk).unwrap();

        let ends = partition(&engine).unwrap().ends().unwrap();
        assert_eq!(ends.last_stable_offset, ends.log_end_offset, "{committed}");
    }
}

#[test]
fn to_seal_a_segment_of_a_long_log_takes_no_more_reads_than_in_a_short_one() {
    let (disk, reads) = (MemDisk::new(), Arc::new(AtomicU64::new(0)));
    let counted = reads.clone();
    let hook = Arc::new(move |call| {
        counted.fetch_add(u64::from(call == Call::Read), Ordering::Relaxed);
    });
    let env = disk.clone().with_hook(hook).env();
    let engine = Engine::open(Path::new("/data"), OpenOptions::default(), env).unwrap();
    let log = partition(&engine).unwrap();
    log.append(&mut transactional(0, "a", "1")).unwrap();
    log.append(&mut marker(true)).unwrap();
    let reads_until = |segments| loop {
        reads.store(0, Ordering::Relaxed);
        log.append(&mut batch(&[("pad", Some("0"))])).unwrap();
        if logs(&disk) == segments {
            return reads.load(Ordering::Relaxed);
        }
    };

    let short = reads_until(3);

    assert_eq!(reads_until(12), short);
}

#[test]
fn damage_in_a_segment_that_is_sealed_stops_no_writer() {
    let disk = MemDisk::new();
    let engine = open(&disk).unwrap();
    let log = partition(&engine).unwrap();
    log.append(&mut transactional(0, "a", "1")).unwrap();
    // The version of the first batch's format.
    let path = Path::new("/data/orders-0/00000000000000000000.log");
    disk.env().storage.open(path, Access::Write).unwrap().write_at(16, &[9]).unwrap();

    while logs(&disk) < 2 {
        log.append(&mut batch(&[("pad", Some("0"))])).unwrap();
    }

    let end = log.append(&mut batch(&[("behind", Some("1"))])).unwrap().end_offset;
    assert_eq!(log.ends().unwrap().log_end_offset, end);
}
