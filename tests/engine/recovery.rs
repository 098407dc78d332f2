//! What a directory looks like after its processes did not close it.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use brokerless::engine::{Cursor, Engine, OpenOptions as Options};
use brokerless::env::Env;
use brokerless::{Error, IsolationLevel};

use crate::damage::warnings;
use crate::support::{
    ORDERS, append, copy_folder, numbered, open, open_read_only, partition, read,
};

const LOG: &str = "orders-0/00000000000000000000.log";

/// A copy of the directory as it is now: what a crash at this moment leaves.
fn crashed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir, copy.path());
    copy
}

fn len(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len()
}

fn cut(file: &Path, len: u64) {
    OpenOptions::new().write(true).open(file).unwrap().set_len(len).unwrap();
}

/// As after a crash of the machine: nothing says that the writes were completed.
fn forget_the_boot(dir: &Path) {
    std::fs::remove_file(dir.join(".brokerless-control")).unwrap();
}

fn log_of(dir: &Path) -> PathBuf {
    dir.join(LOG)
}

#[test]
fn a_torn_tail_is_cut_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let orders = partition(&engine);
    append(&orders, &["a", "b"]);
    let whole = len(&log_of(dir.path()));
    append(&orders, &["c"]);
    let end = len(&log_of(dir.path()));

    for length in whole..end {
        let copy = crashed(dir.path());
        cut(&log_of(copy.path()), length);

        let engine = open(copy.path());

        assert_eq!(read(&partition(&engine)), numbered(&["a", "b"]), "cut at {length}");
        assert_eq!(append(&partition(&engine), &["d"]), 2);
        assert_eq!(len(&log_of(copy.path())), end);
    }
}

#[test]
fn a_crash_of_the_machine_begins_a_new_leader_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a"]);
    let copy = crashed(dir.path());
    forget_the_boot(copy.path());

    let engine = open(copy.path());

    assert_eq!(partition(&engine).leader_epoch().unwrap(), 1);
    let epochs = std::fs::read_to_string(copy.path().join("orders-0/leader-epoch-checkpoint"));
    assert_eq!(epochs.unwrap(), "0\n2\n0 0\n1 1\n");
}

/// Lets a copy pass for the directory itself, whose processes have died.
fn pass_for_the_original(copy: &Path) {
    const PLACE: u64 = 9;
    let control = OpenOptions::new().write(true).open(copy.join(".brokerless-control")).unwrap();
    let inode = control.metadata().unwrap().ino();
    control.write_all_at(&inode.to_ne_bytes(), 8 * PLACE).unwrap();
}

#[test]
fn the_death_of_all_processes_keeps_the_leader_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a"]);
    let copy = crashed(dir.path());
    pass_for_the_original(copy.path());

    let engine = open(copy.path());

    assert_eq!(partition(&engine).leader_epoch().unwrap(), 0);
    assert_eq!(read(&partition(&engine)), numbered(&["a"]));
}

#[test]
fn a_copy_of_a_directory_in_use_is_not_taken_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a"]);
    let copy = crashed(dir.path());

    let engine = open(copy.path());

    // It may have been copied in the middle of an append: checked whole, as after a crash.
    assert_eq!(partition(&engine).leader_epoch().unwrap(), 1);
    assert_eq!(read(&partition(&engine)), numbered(&["a"]));
}

#[test]
fn bytes_that_are_no_batch_end_an_unclean_log() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a"]);
    let end = len(&log_of(dir.path()));
    append(&partition(&engine), &["b"]);
    let copy = crashed(dir.path());
    let mut bytes = std::fs::read(log_of(copy.path())).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(log_of(copy.path()), &bytes).unwrap();

    assert_eq!(read(&partition(&open_read_only(copy.path()))), numbered(&["a"]));
    assert_eq!(len(&log_of(copy.path())), bytes.len() as u64);
    assert_eq!(read(&partition(&open(copy.path()))), numbered(&["a"]));
    assert_eq!(len(&log_of(copy.path())), end);
}

#[test]
fn a_damaged_log_that_was_closed_in_good_order_is_an_error_and_is_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    append(&partition(&open(dir.path())), &["a"]);
    let mut bytes = std::fs::read(log_of(dir.path())).unwrap();
    bytes[30] ^= 1;
    std::fs::write(log_of(dir.path()), &bytes).unwrap();

    let engine = open(dir.path());
    let refused = partition(&engine).ends();

    let Err(Error::CorruptRecord { path, position: 0, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(path, log_of(dir.path()));
    drop(engine);
    assert_eq!(std::fs::read(log_of(dir.path())).unwrap(), bytes);
}

#[test]
fn lost_indexes_are_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let orders = partition(&engine);
    for n in 0..100 {
        append(&orders, &[&format!("{n} {}", "x".repeat(300))]);
    }
    let expected = read(&orders);
    let index = dir.path().join("orders-0/00000000000000000000.index");
    let entries = std::fs::read(&index).unwrap();
    assert!(entries.len() >= 48, "{} bytes", entries.len());
    let copy = crashed(dir.path());
    let index = copy.path().join("orders-0/00000000000000000000.index");
    std::fs::write(&index, b"garbage!").unwrap();

    assert_eq!(read(&partition(&open(copy.path()))), expected);

    assert_eq!(std::fs::read(&index).unwrap(), entries);
}

#[test]
fn a_second_process_may_come_and_go_without_closing_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a"]);

    drop(open(dir.path()));

    assert!(!dir.path().join(".kafka_cleanshutdown").exists());
    assert_eq!(append(&partition(&engine), &["b"]), 1);
}

#[test]
fn a_directory_that_does_not_exist_cannot_be_opened_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { read_only: true, ..Options::default() };

    let refused = Engine::open(&dir.path().join("none"), options, Env::system());

    assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
}

#[test]
fn a_closed_log_that_lost_its_files_is_an_error_and_does_not_begin_anew() {
    for lost in ["emptied", "file removed", "folder removed"] {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        engine.create_topic("orders", Some(2), &[]).unwrap();
        append(&partition(&engine), &["a", "b"]);
        drop(engine);
        match lost {
            "emptied" => cut(&log_of(dir.path()), 0),
            "file removed" => std::fs::remove_file(log_of(dir.path())).unwrap(),
            _ => std::fs::remove_dir_all(dir.path().join("orders-0")).unwrap(),
        }

        for _ in 0..2 {
            let refused = partition(&open(dir.path())).ends();
            let named = matches!(refused, Err(Error::RecordsMissing { end: 0, known: 2, .. }));
            assert!(named, "{lost}: {refused:?}");
        }
        assert_eq!(read(&partition(&open_read_only(dir.path()))), [], "{lost}");
    }
}

#[test]
fn a_topic_that_is_made_again_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    append(&partition(&open(dir.path())), &["a", "b"]);
    let engine = open(dir.path());
    engine.delete_topic("orders").unwrap();
    append(&partition(&engine), &["c"]);
    let copy = crashed(dir.path());

    assert_eq!(read(&partition(&open(copy.path()))), numbered(&["c"]));

    std::fs::remove_dir_all(copy.path().join("orders-0")).unwrap();
    assert_eq!(append(&partition(&open(copy.path())), &["d"]), 0);
    assert_eq!(read(&partition(&open(copy.path()))), numbered(&["d"]));
}

#[test]
fn an_empty_segment_inside_another_is_no_end() {
    for (clean, segment) in [(true, 1), (false, 1), (false, 3)] {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        for value in ["a", "b", "c", "d"] {
            append(&partition(&engine), &[value]);
        }
        let copy = crashed(dir.path());
        drop(engine);
        let dir = if clean { dir } else { copy };
        let name = format!("orders-0/{segment:020}.log");
        std::fs::write(dir.path().join(&name), b"").unwrap();
        let before = dir.path().join(name.clone() + ".quarantined");
        std::fs::write(&before, b"of another time").unwrap();

        let engine = open(dir.path());

        assert_eq!(read(&partition(&engine)), numbered(&["a", "b", "c", "d"]));
        assert!(dir.path().join(name + ".quarantined-1").exists());
        assert_eq!(std::fs::read(before).unwrap(), b"of another time");
        assert_eq!(append(&partition(&engine), &["e"]), 4);
    }
}

/// Changes a byte of the batch that begins at `position`.
fn damage(file: &Path, position: usize, byte: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[position + byte] ^= 0x40;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_last_batch_with_another_offset_ends_an_unclean_log() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a"]);
    let second = len(&log_of(dir.path())) as usize;
    append(&partition(&engine), &["b"]);
    let copy = crashed(dir.path());
    // The offset is not covered by the checksum.
    damage(&log_of(copy.path()), second, 4);

    assert_eq!(read(&partition(&open(copy.path()))), numbered(&["a"]));
}

#[test]
fn damage_inside_a_sealed_segment_is_an_error_for_every_way_to_it() {
    // The offset, and the length, of a batch in the middle.
    // One of two has an index entry of its own, the other is found from the one before.
    for (byte, victim) in [(4, 5), (4, 6), (8, 5), (8, 6)] {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        let settings = [("segment.bytes", "900"), ("index.interval.bytes", "100")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        engine.create_topic("orders", None, &settings).unwrap();
        append(&partition(&engine), &["a"]);
        let size = len(&log_of(dir.path())) as usize;
        for _ in 0..30 {
            append(&partition(&engine), &["a"]);
        }
        drop(engine);
        damage(&log_of(dir.path()), victim * size, byte);

        let engine = open(dir.path());
        let orders = partition(&engine);
        for offset in [victim as i64, victim as i64 + 1] {
            let mut cursor = Cursor::new(offset);
            let read = orders.read(&mut cursor, 1, IsolationLevel::ReadUncommitted);
            let named = matches!(&read, Err(Error::CorruptRecord { path, .. }) if *path == log_of(dir.path()));
            // The one behind it may still be found, by the index.
            assert!(named || offset > victim as i64, "byte {byte}, offset {offset}: {read:?}");
        }
    }
}

#[test]
fn the_active_segment_of_a_follower_may_have_gaps_where_its_leader_compacts() {
    let policy = [("cleanup.policy".to_owned(), "compact,delete".to_owned())];
    for (name, settings, cleaned, left) in [
        ("the topic's policy", &policy[..], "", vec![(0, "a"), (2, "c")]),
        ("a broker has compacted it", &[], "0\n1\norders 0 0\n", vec![(0, "a"), (2, "c")]),
        ("neither", &[], "0\n1\norders 1 0\n", vec![(0, "a")]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        engine.create_topic("orders", None, settings).unwrap();
        let ends = ["a", "b", "c"].map(|value| {
            append(&partition(&engine), &[value]);
            len(&log_of(dir.path())) as usize
        });
        let copy = crashed(dir.path());
        forget_the_boot(copy.path());
        // A follower is given what is left of its leader's log.
        let mut log = std::fs::read(log_of(copy.path())).unwrap();
        log.drain(ends[0]..ends[1]);
        std::fs::write(log_of(copy.path()), log).unwrap();
        std::fs::write(copy.path().join("cleaner-offset-checkpoint"), cleaned).unwrap();

        let found = read(&partition(&open(copy.path())));

        let left: Vec<_> = left.into_iter().map(|(at, value)| (at, value.to_owned())).collect();
        assert_eq!(found, left, "{name}");
    }
}

/// Nobody ever notes that a log starts behind its end; to believe it would be to delete all records.
#[test]
fn a_log_does_not_start_behind_its_end_whatever_was_noted() {
    let dir = tempfile::tempdir().unwrap();
    append(&partition(&open(dir.path())), &["a", "b"]);
    std::fs::write(dir.path().join("log-start-offset-checkpoint"), "0\n1\norders 0 99\n").unwrap();

    for _ in 0..2 {
        let engine = open(dir.path());

        assert_eq!(partition(&engine).ends().unwrap().log_start_offset, 0);
        assert_eq!(read(&partition(&engine)), numbered(&["a", "b"]));
    }
}

/// The bytes of all files of the log, whatever their names are.
fn all_bytes(dir: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(dir.join("orders-0")).unwrap();
    files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

fn holds(bytes: &[u8], value: &str) -> bool {
    bytes.windows(value.len()).any(|part| part == value.as_bytes())
}

/// The offsets that segments are named of.
fn bases(dir: &Path) -> Vec<i64> {
    let files = std::fs::read_dir(dir.join("orders-0")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect()
}

/// Gives a segment the name of another offset, with its indexes.
fn rename(dir: &Path, from: i64, to: i64) {
    for suffix in ["log", "index", "timeindex"] {
        let named = |base: i64| dir.join(format!("orders-0/{base:020}.{suffix}"));
        std::fs::rename(named(from), named(to)).unwrap();
    }
}

/// A directory with sixteen records in two segments, in use.
fn in_two_segments() -> (tempfile::TempDir, std::sync::Arc<Engine>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_topic(ORDERS, None, &[("segment.bytes".into(), "400".into())]).unwrap();
    let values: Vec<String> = (0..16).map(|number| format!("value-{number:02}")).collect();
    for pair in values.chunks(2) {
        append(&partition(&engine), &[&pair[0], &pair[1]]);
    }
    assert_eq!(bases(dir.path()).len(), 2);
    (dir, engine, values)
}

#[test]
fn a_log_is_not_cut_for_the_name_that_somebody_gave_a_segment() {
    let (dir, _engine, values) = in_two_segments();
    for (base, name) in [(0, 1), (0, 3), (8, 5), (8, 7), (8, 9), (8, 11), (8, 100)] {
        let copy = crashed(dir.path());
        rename(copy.path(), base, name);
        forget_the_boot(copy.path());

        let refused = partition(&open(copy.path())).ends();

        let path = copy.path().join(format!("orders-0/{name:020}.log"));
        let is_named =
            matches!(&refused, Err(Error::Damaged { path: named, .. }) if *named == path);
        assert!(is_named, "{base} as {name}: {refused:?}");
        rename(copy.path(), name, base);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        assert_eq!(read(&partition(&open(copy.path()))), numbered(&values), "{base} as {name}");
    }
}

/// A whole batch that does not belong where it stands is no torn write.
#[test]
fn what_is_cut_for_standing_in_the_wrong_place_is_kept_beside() {
    // The offset of its first batch, which no checksum covers.
    let overwrite = |log: &Path| {
        let log = OpenOptions::new().write(true).open(log).unwrap();
        log.write_all_at(&99_i64.to_be_bytes(), 0).unwrap();
    };
    let (dir, _engine, values) = in_two_segments();
    for name in [8, 100] {
        let copy = crashed(dir.path());
        let path = copy.path().join(format!("orders-0/{name:020}.log"));
        // Named behind the others, the first segment might be anything.
        match name {
            8 => overwrite(&path),
            _ => rename(copy.path(), 0, name),
        }
        forget_the_boot(copy.path());

        let (_, told) = warnings::of(|| partition(&open(copy.path())).ends().unwrap());

        assert_eq!(len(&path), 0, "{name}");
        let bytes = all_bytes(copy.path());
        assert!(values.iter().all(|value| holds(&bytes, value)), "{name}");
        let aside = path.with_extension("log.from-0.quarantined").display().to_string();
        assert!(told.iter().any(|line| line.contains(&aside)), "{told:?}");
    }
}
