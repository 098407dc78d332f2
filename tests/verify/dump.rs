//! What a single file is told to hold.

use std::path::{Path, PathBuf};

use brokerless::env::Env;
use brokerless::verify::dump::{self, Log, Piece};

use crate::support::{ORDERS, sample};

const LIMIT: usize = 1 << 20;

/// The first log of the sample, and its bytes.
fn first_log(dir: &Path) -> (PathBuf, Vec<u8>) {
    let path = dir.join(ORDERS).join("00000000000000000000.log");
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

fn pieces(path: &Path, most: Option<u64>) -> Vec<Piece> {
    let mut log = Log::open(path, most, LIMIT, &Env::system()).unwrap();
    std::iter::from_fn(|| log.advance().unwrap()).collect()
}

/// Position and first offset of each good batch.
fn good(path: &Path) -> Vec<(u64, i64)> {
    let batches = pieces(path, None).into_iter().filter_map(|piece| match piece {
        Piece::Batch(batch) if batch.is_valid => Some((batch.position, batch.info.base_offset)),
        _ => None,
    });
    batches.collect()
}

#[test]
fn every_batch_is_told_with_its_records() {
    let dir = sample();
    let (path, bytes) = first_log(dir.path());

    let mut end = 0;
    for (number, piece) in pieces(&path, None).into_iter().enumerate() {
        let Piece::Batch(dumped) = piece else { panic!("{piece:?}") };
        let batch = dumped.batch.unwrap();
        assert!(dumped.is_valid);
        assert_eq!((dumped.position, dumped.info.base_offset), (end, 2 * number as i64));
        let offsets: Vec<_> = batch.records().map(|record| record.unwrap().offset).collect();
        assert_eq!(offsets, [2 * number as i64, 2 * number as i64 + 1]);
        end += dumped.info.size as u64;
    }
    assert_eq!(end, bytes.len() as u64);
}

#[test]
fn whatever_byte_is_damaged_every_other_batch_is_told() {
    let dir = sample();
    let (path, bytes) = first_log(dir.path());
    let whole = good(&path);
    assert!(whole.len() > 3);
    let end_of = |at: usize| whole.get(at + 1).map_or(bytes.len() as u64, |next| next.0);

    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, &damaged).unwrap();
        let hit = whole.iter().rposition(|(position, _)| *position <= at as u64).unwrap();
        let told = good(&path);

        for (number, batch) in whole.iter().enumerate() {
            // The checksum leaves out the offset and the leader epoch; length and magic it shows.
            let is_hit = number == hit;
            assert!(is_hit || told.contains(batch), "byte {at}: {batch:?} of {told:?}");
        }
        let uncovered =
            (at as u64 - whole[hit].0) < 8 || (12..16).contains(&(at as u64 - whole[hit].0));
        assert!(uncovered || !told.contains(&whole[hit]), "byte {at} up to {}", end_of(hit));
    }
}

#[test]
fn bytes_between_two_batches_and_at_the_end_are_told_with_their_place() {
    let dir = sample();
    let (path, bytes) = first_log(dir.path());
    let second = good(&path)[1].0 as usize;
    let inserted = [&bytes[..second], &[0xff; 40], &bytes[second..], &[0; 100]].concat();
    std::fs::write(&path, inserted).unwrap();

    let damage: Vec<_> = pieces(&path, None)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Damage(damage) => Some((damage.position, damage.bytes, damage.at_end)),
            Piece::Batch(batch) => batch.batch.map(|_| None).unwrap(),
        })
        .collect();

    assert_eq!(damage, [(second as u64, 40, false), (bytes.len() as u64 + 40, 100, true)]);
}

#[test]
fn of_a_part_the_whole_batches_are_told_and_no_damage() {
    let dir = sample();
    let (path, bytes) = first_log(dir.path());
    let ends: Vec<u64> = good(&path).iter().skip(1).map(|batch| batch.0).collect();

    for most in 0..bytes.len() as u64 {
        let told = pieces(&path, Some(most));
        assert!(told.iter().all(|piece| matches!(piece, Piece::Batch(batch) if batch.is_valid)));
        assert_eq!(told.len(), ends.iter().filter(|end| **end <= most).count(), "{most} bytes");
    }
}

#[test]
fn entries_of_indexes_stand_beside_what_the_log_says() {
    let dir = sample();
    let (log, _) = first_log(dir.path());

    let places = dump::index(&log.with_extension("index"), &Env::system()).unwrap();
    let times = dump::time_index(&log.with_extension("timeindex"), LIMIT, &Env::system()).unwrap();

    assert!(places.len() > 2 && times.len() > 2);
    assert!(places.iter().all(|entry| entry.found == Some(entry.offset)), "{places:?}");
    let fits = |entry: &dump::TimeEntry| entry.found == Some((entry.offset, entry.timestamp));
    assert!(times.iter().all(fits), "{times:?}");
}

#[test]
fn a_segment_that_is_about_to_go_is_told_like_any_other() {
    let dir = sample();
    let (log, _) = first_log(dir.path());
    let index = log.with_extension("index");
    let before = dump::index(&index, &Env::system()).unwrap();
    for path in [&log, &index] {
        std::fs::rename(path, format!("{}.deleted", path.display())).unwrap();
    }

    let renamed = index.with_extension("index.deleted");
    assert_eq!(dump::index(&renamed, &Env::system()).unwrap(), before);
}

#[test]
fn an_index_without_its_log_has_entries_beside_nothing() {
    let dir = sample();
    let (log, _) = first_log(dir.path());
    std::fs::remove_file(&log).unwrap();

    let places = dump::index(&log.with_extension("index"), &Env::system()).unwrap();
    let times = dump::time_index(&log.with_extension("timeindex"), LIMIT, &Env::system()).unwrap();

    assert!(!places.is_empty() && places.iter().all(|entry| entry.found.is_none()));
    assert!(!times.is_empty() && times.iter().all(|entry| entry.found.is_none()));
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let dir = sample();
    let nowhere = dir.path().join("00000000000000000000.index");

    assert!(Log::open(&nowhere, None, LIMIT, &Env::system()).is_err());
    assert!(dump::index(&nowhere, &Env::system()).is_err());
    assert!(dump::time_index(&nowhere, LIMIT, &Env::system()).is_err());
    assert!(dump::transactions(&nowhere, &Env::system()).is_err());
    assert!(dump::snapshot(&nowhere, &Env::system()).is_err());
}
