//! Each kind of damage has its finding, and what a repair leaves of it.

use std::path::Path;

use brokerless::env::Env;
use brokerless::record::BatchBuilder;
use brokerless::types::OffsetAndMetadata;
use brokerless::verify::{self, Finding, Options, Severity};
use brokerless::{Compression, Error};

use crate::cases::{OF_A_SEGMENT, active, cases, damaged, flip, last_batch, rename};
use crate::support::{
    ALL, batch, change, copy_folder, damage, killed_sample, line, open, orders, positions, read,
    repair, sample, segment, snapshot, values, verify,
};

#[test]
fn nothing_is_wrong_with_a_directory_of_ours() {
    for dir in [sample(), killed_sample()] {
        let report = verify(dir.path());

        assert_eq!(report.findings, []);
        assert_eq!(report.counts.records, 49);
    }
}

#[test]
fn each_kind_of_damage_has_its_finding_and_no_other_file_is_blamed() {
    for case in cases() {
        let dir = damaged(&case);

        let report = verify(dir.path());

        let (severity, code, path) = case.found;
        let of_it = |finding: &&Finding| {
            finding.code == code && (path.is_empty() || finding.path == Path::new(path))
        };
        let found: Vec<_> = report.findings.iter().filter(of_it).collect();
        let all: Vec<String> = report.findings.iter().map(line).collect();
        assert_eq!(found.len(), 1, "{}: {all:#?}", case.name);
        assert_eq!(found[0].severity, severity, "{}: {all:#?}", case.name);
        let others = report.findings.iter().filter(|finding| finding.is_damage());
        let most = usize::from(severity > Severity::Note) + usize::from(code == "damaged-tail");
        assert!(others.count() <= most, "{}: {all:#?}", case.name);
    }
}

#[test]
fn a_folder_that_is_no_data_directory_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("holiday-2024")).unwrap();
    std::fs::write(dir.path().join("holiday-2024/1.jpg"), "").unwrap();
    let before = snapshot(dir.path());
    let (options, env) = (Options::default(), Env::system());

    let checked = verify::verify(dir.path(), options, &env, &|_| Ok(()));
    let repaired = verify::repair(dir.path(), options, &env, &|_| Ok(()));

    assert!(matches!(checked, Err(Error::NotADataDirectory(_))), "{checked:?}");
    assert!(matches!(repaired, Err(Error::NotADataDirectory(_))), "{repaired:?}");
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn the_limit_of_what_is_decompressed_is_the_directorys() {
    let dir = sample();
    let mut builder = BatchBuilder::new(Compression::Zstd, None);
    builder.append(1, None, Some(&[0; 5000]), &[]);
    let engine = open(dir.path(), Env::system());
    engine.partition(&orders()).unwrap().append(&mut builder.finish().unwrap()).unwrap();
    drop(engine);
    let settings = "offsets.topic.num.partitions=1\nmax.decompressed.bytes=4000\n";
    std::fs::write(dir.path().join("brokerless.properties"), settings).unwrap();
    let own = Options { limit: Some(1 << 20) };

    let report = verify(dir.path());
    let with_own = verify::verify(dir.path(), own, &Env::system(), &|_| Ok(())).unwrap();

    let found = damage(&report);
    assert!(found.len() == 1 && found[0].starts_with("warning too-large "), "{found:?}");
    assert_eq!(damage(&with_own), [""; 0]);
}

#[test]
fn a_list_of_topics_that_an_editor_has_marked_is_read() {
    let dir = sample();
    change(&dir.path().join(".brokerless-topics"), |bytes| {
        drop(bytes.splice(0..0, *b"\xef\xbb\xbf"));
    });

    assert_eq!(damage(&verify(dir.path())), [""; 0]);
    let engine = open(dir.path(), Env::system());
    assert_eq!(engine.topics().unwrap().get("orders").unwrap().config.segment_bytes, 900);
}

#[test]
fn a_check_changes_nothing() {
    for case in cases() {
        let dir = damaged(&case);
        let before = snapshot(dir.path());

        verify(dir.path());

        assert_eq!(snapshot(dir.path()), before, "{}", case.name);
    }
}

#[test]
fn a_repair_leaves_nothing_to_be_found_and_is_done_once() {
    for case in cases().filter(|case| case.mended) {
        let dir = damaged(&case);

        let repaired = repair(dir.path());

        assert_eq!(damage(&repaired.left), [""; 0], "{}: {:#?}", case.name, repaired.deeds);
        let before = snapshot(dir.path());
        let again = repair(dir.path());
        assert_eq!(again.deeds, [], "{}", case.name);
        assert_eq!(snapshot(dir.path()), before, "{}", case.name);
    }
}

#[test]
fn a_repair_puts_nothing_aside_that_it_has_made_itself() {
    for case in cases() {
        let dir = damaged(&case);
        let before: Vec<Vec<u8>> = snapshot(dir.path()).into_values().collect();

        repair(dir.path());

        for (path, bytes) in snapshot(dir.path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let was_there = before.iter().any(|file| file.ends_with(&bytes) || *file == bytes);
            let is_part = name.contains(".epochs-");
            assert!(
                !name.contains(".quarantined") || was_there || is_part,
                "{}: {name}",
                case.name
            );
        }
    }
}

#[test]
fn a_repair_keeps_every_record_but_those_that_are_damaged() {
    for case in cases().filter(|case| case.mended && case.lost.0 >= 0) {
        let dir = damaged(&case);
        repair(dir.path());

        let engine = open(dir.path(), Env::system());

        let lost = case.lost.0..case.lost.1;
        let expected = values(ALL.filter(|offset| !lost.contains(offset)));
        let partition = engine.partition(&orders()).unwrap();
        assert_eq!(read(&partition), expected, "{}", case.name);
        let next = if lost.end == ALL.end { lost.start } else { ALL.end };
        let appended = partition.append(&mut batch(99)).unwrap();
        assert_eq!(appended.base_offset, next, "{}", case.name);
        drop((partition, engine));
        assert_eq!(damage(&verify(dir.path())), [""; 0], "{}", case.name);
    }
}

#[test]
fn a_repair_removes_no_byte_of_a_log() {
    for case in cases() {
        let dir = damaged(&case);
        let before = snapshot(dir.path());

        repair(dir.path());

        let after: Vec<Vec<u8>> = snapshot(dir.path()).into_values().collect();
        for (path, bytes) in
            before.iter().filter(|(path, _)| !path.ends_with(".kafka_cleanshutdown"))
        {
            let is_there = after.iter().any(|file| file == bytes);
            // Of a log that is cut the first part is in its place, and the rest beside.
            let parts = after.iter().any(|front| {
                bytes.starts_with(front)
                    && after.iter().any(|rest| [&front[..], &rest[..]].concat() == *bytes)
            });
            assert!(is_there || parts, "{}: {}", case.name, path.display());
        }
    }
}

#[test]
fn a_flipped_bit_of_a_leader_epoch_is_one_finding_and_is_put_right() {
    for (number, batch) in [(0, 0), (0, 2), (1, 1)] {
        let dir = sample();
        let log = segment(dir.path(), number, "log");
        let before = std::fs::read(&log).unwrap();
        flip(&log, positions(&log)[batch] + 13);
        let bad = std::fs::read(&log).unwrap();

        let repaired = repair(dir.path());

        let found = damage(&repaired.found);
        assert!(found.len() == 1 && found[0].starts_with("warning epoch-goes-back "), "{found:?}");
        assert_eq!(damage(&repaired.left), [""; 0]);
        assert_eq!(std::fs::read(&log).unwrap(), before);
        let (from, to) = (positions(&log)[batch], positions(&log)[batch + 1]);
        let aside = log.with_extension(format!("log.epochs-{from}.quarantined"));
        assert_eq!(std::fs::read(aside).unwrap(), bad[from..to]);
    }
}

#[test]
fn a_segment_gets_its_name_back_and_its_indexes_with_it() {
    for (number, by) in [(0, 3), (1, 1), (1, -1), (2, 5)] {
        let dir = sample();
        let before = snapshot(dir.path());
        rename(dir.path(), number, by, &OF_A_SEGMENT);

        repair(dir.path());

        assert_eq!(snapshot(dir.path()), before, "{number} by {by}");
    }
}

#[test]
fn a_flipped_bit_in_the_offset_of_a_first_batch_is_taken_for_no_wrong_name() {
    for bit in 0..7 {
        for number in [0, 1] {
            let dir = sample();
            let log = segment(dir.path(), number, "log");
            change(&log, |bytes| bytes[7] ^= 1 << bit);

            let repaired = repair(dir.path());

            let codes: Vec<_> = repaired.found.findings.iter().map(|it| it.code).collect();
            assert_eq!(codes, ["damaged-batch"], "{number}, bit {bit}");
            assert_eq!(damage(&repaired.left), [""; 0], "{number}, bit {bit}");
        }
    }
}

#[test]
fn a_commit_from_before_a_loss_that_is_known_is_a_note() {
    let dir = sample();
    let commit = OffsetAndMetadata { offset: ALL.end, metadata: String::new(), leader_epoch: 0 };
    open(dir.path(), Env::system()).commit_offsets("group", &[(orders(), commit)]).unwrap();
    flip(&active(dir.path()), last_batch(dir.path()) + 70);

    let repaired = repair(dir.path());

    assert_eq!(damage(&repaired.left), [""; 0]);
    assert!(repaired.left.findings.iter().any(|it| it.code == "commit-past-end"));
}

#[test]
fn zeros_behind_a_segment_that_is_not_the_last_are_cut_and_not_kept() {
    let dir = killed_sample();
    let first = segment(dir.path(), 0, "log");
    let before = snapshot(dir.path());
    change(&first, |bytes| bytes.extend([0; 500]));
    let found = verify(dir.path()).findings;
    assert_eq!(found.iter().map(|it| it.code).collect::<Vec<_>>(), ["room"]);

    repair(dir.path());

    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn the_records_behind_a_lost_tail_are_of_a_new_epoch() {
    let dir = sample();
    flip(&active(dir.path()), last_batch(dir.path()) + 70);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());

    repair(copy.path());

    let engine = open(copy.path(), Env::system());
    let epoch = engine.partition(&orders()).unwrap().leader_epoch().unwrap();
    assert!(epoch >= 1, "{epoch}");
}

/// Takes every record of a log, in one of the ways there are.
type Take = fn(&Path);

const TAKE_ALL: [(&str, Take); 4] = [
    ("emptied", empty),
    ("emptied, and a line of another that is not listed", |dir| {
        empty(dir);
        let list = dir.join("recovery-point-offset-checkpoint");
        let text = std::fs::read_to_string(&list).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        let count = (lines.len() - 1).to_string();
        lines[1] = &count;
        lines.insert(2, "another 0 5");
        std::fs::write(list, lines.join("\n") + "\n").unwrap();
    }),
    ("no segment", remove_segments),
    ("no folder", |dir| std::fs::remove_dir_all(dir.join("orders-0")).unwrap()),
];

fn empty(dir: &Path) {
    remove_segments(dir);
    std::fs::write(dir.join("orders-0/00000000000000000000.log"), "").unwrap();
}

fn remove_segments(dir: &Path) {
    for entry in std::fs::read_dir(dir.join("orders-0")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !["leader-epoch-checkpoint", "partition.metadata"].contains(&&*name) {
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn the_records_behind_a_lost_log_are_of_a_new_epoch() {
    let mut epochs = Vec::new();
    for (name, take) in TAKE_ALL {
        let dir = sample();
        // Who opened it last found it closed, and no crash of the machine begins an epoch.
        drop(open(dir.path(), Env::system()));
        take(dir.path());

        let repaired = repair(dir.path());

        let found: Vec<_> = repaired.found.findings.iter().map(|it| it.code).collect();
        assert!(found.contains(&"records-missing"), "{name}: {found:?}");
        let engine = open(dir.path(), Env::system());
        let partition = engine.partition(&orders()).unwrap();
        assert_eq!(partition.append(&mut batch(99)).unwrap().base_offset, 0, "{name}");
        epochs.push((name, partition.leader_epoch().unwrap(), damage(&repaired.left)));
    }

    assert_eq!(epochs, TAKE_ALL.map(|(name, _)| (name, 1, Vec::new())));
}
