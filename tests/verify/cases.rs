//! Kinds of damage, and what should be found of each.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use brokerless::verify::Severity::{self, Error, Note, Warning};

use brokerless::env::Env;
use brokerless::types::OffsetAndMetadata;

use crate::support::{
    ALL, ORDERS, bases, change, killed_sample, open, orders, positions, sample, segment,
};

/// One kind of damage.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Whether nobody closed the directory.
    pub(crate) killed: bool,
    pub(crate) damage: fn(&Path),
    /// The worst finding: its severity, code and file.
    pub(crate) found: (Severity, &'static str, &'static str),
    /// The offsets that are lost, from the first to before the second.
    pub(crate) lost: (i64, i64),
    /// Whether a repair leaves nothing of it to be found.
    pub(crate) mended: bool,
}

/// The first segment holds offsets 0 to 13 or so; each batch has two.
const FIRST: &str = "orders-0/00000000000000000000.log";

pub(crate) fn flip(file: &Path, at: usize) {
    change(file, |bytes| bytes[at] ^= 0x20);
}

fn in_first(dir: &Path, batch: usize, byte: usize) {
    let file = dir.join(FIRST);
    flip(&file, positions(&file)[batch] + byte);
}

pub(crate) fn active(dir: &Path) -> PathBuf {
    let last = bases(dir).len() - 1;
    segment(dir, last, "log")
}

/// Position of the last batch of the active segment.
pub(crate) fn last_batch(dir: &Path) -> usize {
    let positions = positions(&active(dir));
    positions[positions.len() - 2]
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// Adds a line to the list of topics, which is one of the first version then: it has no checksum.
fn list_also(dir: &Path, line: &str) {
    let path = dir.join(".brokerless-topics");
    let text = fs::read_to_string(&path).unwrap();
    let (lines, _checksum) = text.rsplit_once("crc32c ").unwrap();
    let lines = lines.replacen("topics 2", "topics 1", 1);
    fs::write(&path, format!("{lines}{line}\n")).unwrap();
}

/// Changes the third batch of the first segment, whose checksum is right again then.
fn rewrite(dir: &Path, change_batch: impl FnOnce(&mut [u8])) {
    let file = dir.join(FIRST);
    let (from, to) = (positions(&file)[2], positions(&file)[3]);
    change(&file, |bytes| {
        let batch = &mut bytes[from..to];
        change_batch(batch);
        let checksum = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    });
}

const CLEAN: Case = Case {
    name: "",
    killed: false,
    damage: |_| (),
    found: (Note, "", ""),
    lost: (0, 0),
    mended: true,
};

/// Gives files of a segment the name of another offset.
pub(crate) fn rename(dir: &Path, number: usize, by: i64, suffixes: &[&str]) {
    let base = bases(dir)[number];
    for suffix in suffixes {
        let name = |base: i64| dir.join(ORDERS).join(format!("{base:020}.{suffix}"));
        fs::rename(name(base), name(base + by)).unwrap();
    }
}

pub(crate) const OF_A_SEGMENT: [&str; 3] = ["index", "timeindex", "log"];

const NAMES: [Case; 5] = [
    Case {
        name: "a segment whose name is one too high",
        damage: |dir| rename(dir, 1, 1, &["log"]),
        found: (Error, "misnamed-segment", ""),
        ..CLEAN
    },
    Case {
        name: "a segment whose name is one too high, with its indexes",
        damage: |dir| rename(dir, 1, 1, &OF_A_SEGMENT),
        found: (Error, "misnamed-segment", ""),
        ..CLEAN
    },
    Case {
        name: "a first segment whose name is too high",
        damage: |dir| rename(dir, 0, 5, &OF_A_SEGMENT),
        found: (Error, "misnamed-segment", "orders-0/00000000000000000005.log"),
        ..CLEAN
    },
    Case {
        name: "an active segment whose name is too high",
        damage: |dir| rename(dir, bases(dir).len() - 1, 5, &OF_A_SEGMENT),
        found: (Error, "misnamed-segment", ""),
        ..CLEAN
    },
    Case {
        name: "a segment whose name is one too low",
        damage: |dir| rename(dir, 1, -1, &OF_A_SEGMENT),
        found: (Error, "misnamed-segment", ""),
        ..CLEAN
    },
];

const IN_LOGS: [Case; 22] = [
    Case {
        name: "a bit of a record",
        damage: |dir| in_first(dir, 2, 70),
        found: (Error, "damaged-batch", FIRST),
        lost: (4, 6),
        ..CLEAN
    },
    Case {
        name: "a bit of the first record",
        damage: |dir| in_first(dir, 0, 70),
        found: (Error, "damaged-batch", FIRST),
        lost: (0, 2),
        ..CLEAN
    },
    Case {
        name: "a length",
        damage: |dir| in_first(dir, 2, 10),
        found: (Error, "damaged-batch", FIRST),
        lost: (4, 6),
        ..CLEAN
    },
    Case {
        name: "an offset that is too large",
        damage: |dir| in_first(dir, 2, 6),
        found: (Error, "damaged-batch", FIRST),
        lost: (4, 6),
        ..CLEAN
    },
    Case {
        name: "an offset that is larger, but within the segment",
        damage: |dir| {
            let file = dir.join(FIRST);
            let at = positions(&file)[1] + 7;
            change(&file, |bytes| bytes[at] = 5);
        },
        found: (Error, "damaged-batch", FIRST),
        lost: (2, 4),
        ..CLEAN
    },
    Case {
        name: "an offset that is too small",
        damage: |dir| {
            let file = dir.join(FIRST);
            let at = positions(&file)[2] + 7;
            change(&file, |bytes| bytes[at] = 1);
        },
        found: (Error, "damaged-batch", FIRST),
        lost: (4, 6),
        ..CLEAN
    },
    Case {
        name: "zeros over the border of two batches",
        damage: |dir| {
            let file = dir.join(FIRST);
            let at = positions(&file)[3];
            change(&file, |bytes| bytes[at - 30..at + 30].fill(0));
        },
        found: (Error, "damaged-batch", FIRST),
        lost: (4, 8),
        ..CLEAN
    },
    Case {
        name: "bytes between two batches",
        damage: |dir| {
            let file = dir.join(FIRST);
            let at = positions(&file)[3];
            change(&file, |bytes| drop(bytes.splice(at..at, [7; 99])));
        },
        found: (Error, "damaged-batch", FIRST),
        ..CLEAN
    },
    Case {
        name: "bytes before the first batch",
        damage: |dir| {
            change(&dir.join(FIRST), |bytes| {
                drop(bytes.splice(0..0, [7; 99]));
            });
        },
        found: (Error, "damaged-batch", FIRST),
        ..CLEAN
    },
    Case {
        name: "the last batch of a log that was closed",
        damage: |dir| flip(&active(dir), last_batch(dir) + 70),
        found: (Error, "damaged-tail", ""),
        lost: (ALL.end - 2, ALL.end),
        ..CLEAN
    },
    Case {
        name: "the last batch of a log that was not closed",
        killed: true,
        damage: |dir| flip(&active(dir), last_batch(dir) + 70),
        found: (Note, "torn-tail", ""),
        lost: (ALL.end - 2, ALL.end),
        ..CLEAN
    },
    Case {
        name: "a batch in the middle of a log that was not closed",
        killed: true,
        damage: |dir| in_first(dir, 2, 70),
        found: (Warning, "damaged-batch", FIRST),
        lost: (4, 6),
        ..CLEAN
    },
    Case {
        name: "zeros behind a log that was not closed",
        killed: true,
        damage: |dir| change(&active(dir), |bytes| bytes.extend([0; 500])),
        found: (Note, "room", ""),
        ..CLEAN
    },
    Case {
        name: "records that are younger than their batch says",
        damage: |dir| rewrite(dir, |batch| batch[33] ^= 0x04),
        found: (Warning, "wrong-records", FIRST),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a batch that says that it ends a transaction, and does not",
        damage: |dir| rewrite(dir, |batch| batch[22] |= 0x20),
        found: (Warning, "bad-control-batch", FIRST),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "an empty segment inside another",
        damage: |dir| write(&dir.join(ORDERS).join("00000000000000000003.log"), ""),
        found: (Warning, "stray-segment", "orders-0/00000000000000000003.log"),
        ..CLEAN
    },
    Case {
        name: "a batch that was cut out of a segment",
        damage: |dir| {
            let file = dir.join(FIRST);
            let at = positions(&file);
            change(&file, |bytes| drop(bytes.drain(at[2]..at[3])));
            for suffix in ["index", "timeindex"] {
                let _ = fs::remove_file(segment(dir, 0, suffix));
            }
        },
        found: (Error, "missing-offsets", FIRST),
        lost: (4, 6),
        ..CLEAN
    },
    Case {
        name: "the first batch, cut out of a segment",
        damage: |dir| {
            let file = segment(dir, 1, "log");
            let at = positions(&file);
            change(&file, |bytes| drop(bytes.drain(..at[1])));
            for suffix in ["index", "timeindex"] {
                let _ = fs::remove_file(segment(dir, 1, suffix));
            }
        },
        found: (Error, "missing-offsets", ""),
        lost: (-1, -1),
        ..CLEAN
    },
    Case {
        name: "a segment that was removed",
        damage: |dir| fs::remove_file(segment(dir, 1, "log")).unwrap(),
        found: (Error, "missing-offsets", ""),
        lost: (-1, -1),
        ..CLEAN
    },
    Case {
        name: "the first segment, removed",
        damage: |dir| fs::remove_file(dir.join(FIRST)).unwrap(),
        found: (Error, "missing-offsets", ""),
        lost: (-1, -1),
        ..CLEAN
    },
    Case {
        name: "the first segment of a log that was not closed, removed",
        killed: true,
        damage: |dir| {
            fs::remove_file(dir.join("log-start-offset-checkpoint")).unwrap();
            fs::remove_file(dir.join(FIRST)).unwrap();
        },
        found: (Error, "missing-offsets", ""),
        lost: (-1, -1),
        ..CLEAN
    },
    Case {
        name: "the last segment, removed",
        damage: |dir| fs::remove_file(active(dir)).unwrap(),
        found: (Error, "records-missing", "recovery-point-offset-checkpoint"),
        lost: (-1, -1),
        ..CLEAN
    },
];
const BESIDE_LOGS: [Case; 16] = [
    Case {
        name: "the position of an index entry",
        damage: |dir| flip(&segment(dir, 0, "index"), 7),
        found: (Warning, "index-mismatch", "orders-0/00000000000000000000.index"),
        ..CLEAN
    },
    Case {
        name: "the offset of an index entry",
        damage: |dir| flip(&segment(dir, 0, "index"), 11),
        found: (Warning, "index-mismatch", "orders-0/00000000000000000000.index"),
        ..CLEAN
    },
    Case {
        name: "an index of half an entry more",
        damage: |dir| {
            change(&segment(dir, 0, "index"), |it| it.extend([1; 4]));
        },
        found: (Warning, "index-mismatch", "orders-0/00000000000000000000.index"),
        ..CLEAN
    },
    Case {
        name: "zeros within an index",
        damage: |dir| {
            change(&segment(dir, 0, "index"), |it| it[8..16].fill(0));
        },
        found: (Warning, "index-mismatch", "orders-0/00000000000000000000.index"),
        ..CLEAN
    },
    Case {
        name: "an index that leads behind the end",
        damage: |dir| {
            change(&segment(dir, 0, "index"), |it| {
                it.extend([0, 0, 9, 0, 0, 0, 99, 0]);
            });
        },
        found: (Warning, "index-mismatch", "orders-0/00000000000000000000.index"),
        ..CLEAN
    },
    Case {
        name: "no index",
        damage: |dir| fs::remove_file(segment(dir, 0, "index")).unwrap(),
        found: (Note, "index-missing", "orders-0/00000000000000000000.index"),
        ..CLEAN
    },
    Case {
        name: "the time of a time index entry",
        damage: |dir| flip(&segment(dir, 0, "timeindex"), 7),
        found: (Warning, "index-mismatch", "orders-0/00000000000000000000.timeindex"),
        ..CLEAN
    },
    Case {
        name: "a snapshot of producers",
        damage: |dir| flip(&segment(dir, 1, "snapshot"), 3),
        found: (Warning, "bad-snapshot", ""),
        ..CLEAN
    },
    Case {
        name: "a snapshot behind the end",
        damage: |dir| {
            let late = dir.join(ORDERS).join("00000000000000000999.snapshot");
            fs::copy(segment(dir, 1, "snapshot"), late).unwrap();
        },
        found: (Warning, "snapshot-past-end", "orders-0/00000000000000000999.snapshot"),
        ..CLEAN
    },
    Case {
        name: "leader epochs that are none",
        damage: |dir| write(&dir.join("orders-0/leader-epoch-checkpoint"), "0\n2\n0 0\n"),
        found: (Warning, "epochs-mismatch", "orders-0/leader-epoch-checkpoint"),
        ..CLEAN
    },
    Case {
        name: "no leader epochs",
        damage: |dir| fs::remove_file(dir.join("orders-0/leader-epoch-checkpoint")).unwrap(),
        found: (Note, "epochs-missing", "orders-0/leader-epoch-checkpoint"),
        ..CLEAN
    },
    Case {
        name: "no topic's id",
        damage: |dir| fs::remove_file(dir.join("orders-0/partition.metadata")).unwrap(),
        found: (Note, "metadata-missing", "orders-0/partition.metadata"),
        ..CLEAN
    },
    Case {
        name: "what an earlier repair took out of a log",
        damage: |dir| write(&dir.join("orders-0/00000000000000000000.log.quarantined"), "x"),
        found: (Note, "quarantined", "orders-0/00000000000000000000.log.quarantined"),
        ..CLEAN
    },
    Case {
        name: "no topic's id",
        damage: |dir| write(&dir.join("orders-0/partition.metadata"), "version: 0\n"),
        found: (Warning, "metadata-mismatch", "orders-0/partition.metadata"),
        ..CLEAN
    },
    Case {
        name: "another topic's id",
        damage: |dir| {
            let text = "version: 0\ntopic_id: ASNFZ4mrze_-3LqYdlQyEA";
            write(&dir.join("orders-0/partition.metadata"), text);
        },
        found: (Error, "other-topic", "orders-0/partition.metadata"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "an index of aborted transactions",
        damage: |dir| {
            let file = dir.join(ORDERS).join("00000000000000000000.txnindex");
            fs::write(file, [0; 34]).unwrap();
        },
        found: (Warning, "txn-index-mismatch", "orders-0/00000000000000000000.txnindex"),
        ..CLEAN
    },
];
const OF_THE_DIRECTORY: [Case; 28] = [
    Case {
        name: "a list of recovery points",
        damage: |dir| write(&dir.join("recovery-point-offset-checkpoint"), "0\n9\n"),
        found: (Warning, "bad-checkpoint", "recovery-point-offset-checkpoint"),
        ..CLEAN
    },
    Case {
        name: "a recovery point behind the end",
        damage: |dir| {
            write(&dir.join("recovery-point-offset-checkpoint"), "0\n1\norders 0 999\n");
        },
        found: (Error, "records-missing", "recovery-point-offset-checkpoint"),
        ..CLEAN
    },
    Case {
        name: "a compaction behind the end",
        damage: |dir| write(&dir.join("cleaner-offset-checkpoint"), "0\n1\norders 0 999\n"),
        found: (Warning, "checkpoint-past-end", "cleaner-offset-checkpoint"),
        ..CLEAN
    },
    Case {
        name: "a start behind the end",
        damage: |dir| write(&dir.join("log-start-offset-checkpoint"), "0\n1\norders 0 999\n"),
        found: (Warning, "checkpoint-past-end", "log-start-offset-checkpoint"),
        ..CLEAN
    },
    Case {
        name: "a compaction of a partition that is gone",
        damage: |dir| write(&dir.join("cleaner-offset-checkpoint"), "0\n1\ngone 0 5\n"),
        found: (Note, "stale-line", "cleaner-offset-checkpoint"),
        ..CLEAN
    },
    Case {
        name: "a topic that is listed and has no folder",
        damage: |dir| {
            list_also(dir, "fresh ASNFZ4mrze_-3LqYdlQyEA 9");
        },
        found: (Note, "folder-missing", "fresh-0"),
        ..CLEAN
    },
    Case {
        name: "the version of the layout",
        damage: |dir| write(&dir.join(".brokerless-format"), "one"),
        found: (Error, "bad-format", ".brokerless-format"),
        ..CLEAN
    },
    Case {
        name: "a line of the list of topics",
        damage: |dir| {
            change(&dir.join(".brokerless-topics"), |it| {
                it.extend(b"bad line\n");
            });
        },
        found: (Error, "bad-topics", ".brokerless-topics"),
        ..CLEAN
    },
    Case {
        name: "a digit of a setting in the list of topics",
        damage: |dir| {
            change(&dir.join(".brokerless-topics"), |it| {
                let at = it.windows(5).position(|it| it == b"s=900").unwrap();
                it[at + 2] ^= 0x01;
            });
        },
        found: (Error, "bad-topics", ".brokerless-topics"),
        ..CLEAN
    },
    Case {
        name: "a list of topics that was removed",
        damage: |dir| fs::remove_file(dir.join(".brokerless-topics")).unwrap(),
        found: (Error, "topics-missing", ".brokerless-topics"),
        ..CLEAN
    },
    Case {
        name: "a list of recovery points that was removed",
        damage: |dir| fs::remove_file(dir.join("recovery-point-offset-checkpoint")).unwrap(),
        found: (Warning, "checkpoint-missing", "recovery-point-offset-checkpoint"),
        ..CLEAN
    },
    Case {
        name: "a list of log starts that was removed",
        damage: |dir| fs::remove_file(dir.join("log-start-offset-checkpoint")).unwrap(),
        found: (Warning, "checkpoint-missing", "log-start-offset-checkpoint"),
        ..CLEAN
    },
    Case {
        name: "a setting that there is not",
        damage: |dir| write(&dir.join("brokerless.properties"), "offset.retention=1\n"),
        found: (Warning, "unknown-setting", "brokerless.properties"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a value that a setting cannot have",
        damage: |dir| write(&dir.join("brokerless.properties"), "log.preallocate=maybe\n"),
        found: (Error, "bad-settings", "brokerless.properties"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a folder in place of the control file",
        damage: |dir| {
            let _ = fs::remove_file(dir.join(".brokerless-control"));
            fs::create_dir(dir.join(".brokerless-control")).unwrap();
        },
        found: (Error, "not-a-file", ".brokerless-control"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a second name of the lock",
        damage: |dir| {
            let folder = dir.join("gone-0.ec7ac35a84f741f3857feb1d45c6875c-delete");
            fs::create_dir(&folder).unwrap();
            fs::hard_link(dir.join(".lock"), folder.join("lock")).unwrap();
        },
        found: (Warning, "hard-link", ".lock"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a folder with a number far beyond those of its topic",
        damage: |dir| {
            fs::create_dir(dir.join("orders-1048575")).unwrap();
        },
        found: (Warning, "stray-partition", "orders-1048575"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "ids of the directory",
        damage: |dir| write(&dir.join("meta.properties"), "version=1\nnode.id=1\n"),
        found: (Warning, "bad-meta", "meta.properties"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a folder of somebody else's with the name of a partition",
        damage: |dir| {
            fs::create_dir(dir.join("photos-1")).unwrap();
            write(&dir.join("photos-1/sea.jpg"), "blue");
        },
        found: (Warning, "unknown-folder", "photos-1"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a folder of somebody else's",
        damage: |dir| fs::create_dir(dir.join("photos")).unwrap(),
        found: (Warning, "unknown-folder", "photos"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a link in place of a file",
        damage: |dir| {
            fs::rename(dir.join("meta.properties"), dir.join("real")).unwrap();
            symlink("real", dir.join("meta.properties")).unwrap();
        },
        found: (Error, "not-a-file", "meta.properties"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a file that has another name elsewhere",
        damage: |dir| {
            let folder = dir.join("gone-0.ec7ac35a84f741f3857feb1d45c6875c-delete");
            fs::create_dir(&folder).unwrap();
            fs::hard_link(dir.join(FIRST), folder.join("copy")).unwrap();
        },
        found: (Error, "hard-link", FIRST),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a file that everybody may write",
        damage: |dir| {
            fs::set_permissions(dir.join(FIRST), fs::Permissions::from_mode(0o666)).unwrap();
        },
        found: (Warning, "open-to-others", FIRST),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a partition that a broker was about to remove",
        damage: |dir| {
            fs::create_dir(dir.join("gone-0.ec7ac35a84f741f3857feb1d45c6875c-delete")).unwrap();
        },
        found: (Note, "leftover", "gone-0.ec7ac35a84f741f3857feb1d45c6875c-delete"),
        ..CLEAN
    },
    Case {
        name: "a list of missing offsets that is none",
        damage: |dir| write(&dir.join(ORDERS).join(".brokerless-missing"), "what is this\n"),
        found: (Warning, "bad-missing", "orders-0/.brokerless-missing"),
        ..CLEAN
    },
    Case {
        name: "a list of missing offsets that ends in nothing",
        damage: |dir| {
            write(&dir.join(ORDERS).join(".brokerless-missing"), "100 200\n300 3");
        },
        found: (Warning, "bad-missing", "orders-0/.brokerless-missing"),
        ..CLEAN
    },
    Case {
        name: "a commit behind the end",
        damage: |dir| {
            let commit =
                OffsetAndMetadata { offset: 99, metadata: String::new(), leader_epoch: -1 };
            open(dir, Env::system()).commit_offsets("group", &[(orders(), commit)]).unwrap();
        },
        found: (Warning, "commit-past-end", "__consumer_offsets-0/00000000000000000000.log"),
        mended: false,
        ..CLEAN
    },
    Case {
        name: "a file that nobody knows",
        damage: |dir| write(&dir.join("notes.txt"), "mine"),
        found: (Note, "unknown-file", "notes.txt"),
        ..CLEAN
    },
];

/// Two damages, and good batches behind both; the second loses no offset.
pub(crate) const TWICE: Case = Case {
    name: "two damages in one segment",
    damage: |dir| {
        in_first(dir, 1, 70);
        let file = dir.join(FIRST);
        let between = positions(&file)[4];
        change(&file, |bytes| drop(bytes.splice(between..between, [7; 50])));
    },
    found: (Error, "damaged-batch", FIRST),
    lost: (2, 4),
    ..CLEAN
};

/// All of them, each with one damage.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    IN_LOGS.into_iter().chain(NAMES).chain(BESIDE_LOGS).chain(OF_THE_DIRECTORY)
}

/// A directory with that damage.
pub(crate) fn damaged(case: &Case) -> tempfile::TempDir {
    let dir = if case.killed { killed_sample() } else { sample() };
    (case.damage)(dir.path());
    dir
}
