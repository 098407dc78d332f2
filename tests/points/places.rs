//! Every named point of the engine, and how a process is brought to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What surrounds a process that is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Others work on the directory.
    Crowd,
    /// The directory is open, and the last one at work died at that point.
    After(&'static str),
    /// Nobody else has the directory open. All died, or left in good order.
    Alone,
    /// The same, and all died.
    AllDied,
    /// The same, nobody knows whether the machine crashed, and the end of a log is torn.
    Torn,
}

/// A named point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) scene: Scene,
    /// What the process does most of the time.
    pub(crate) focus: &'static str,
    /// It dies at one of so many passes.
    pub(crate) passes: usize,
}

const fn place(name: &'static str, scene: Scene, focus: &'static str, passes: usize) -> Place {
    Place { name, scene, focus, passes }
}

use Scene::{After, AllDied, Alone, Crowd, Torn};

/// All of them.
pub(crate) const PLACES: &[Place] = &[
    place("append.turn", Crowd, "append", 60),
    place("append.intent", Crowd, "append", 60),
    place("append.bytes", Crowd, "append", 60),
    place("append.written", Crowd, "append", 60),
    place("page.stored", Crowd, "append", 60),
    place("append.published", Crowd, "append", 60),
    place("append.ended", Crowd, "append", 60),
    place("append.unlocked", Crowd, "append", 60),
    place("append.rung", Crowd, "append", 60),
    place("roll.intent", Crowd, "append", 3),
    place("roll.timed", Crowd, "append", 3),
    place("roll.synced", Crowd, "append", 3),
    place("roll.announced", Crowd, "append", 3),
    place("roll.saved", Crowd, "append", 3),
    place("roll.created", Crowd, "append", 3),
    place("roll.named", Crowd, "append", 3),
    place("roll.published", Crowd, "append", 3),
    place("roll.ended", Crowd, "append", 3),
    place("rollback.removed", After("roll.created"), "append", 1),
    place("rollback.cut", After("append.bytes"), "append", 1),
    place("rollback.indexed", After("append.written"), "append", 1),
    place("room.made", Crowd, "compact", 3),
    place("sync.locked", Crowd, "sync", 8),
    place("sync.gathered", Crowd, "sync", 2),
    place("sync.unlocked", Crowd, "sync", 8),
    place("checkpoint.read", Crowd, "sync", 3),
    place("checkpoint.written", Crowd, "sync", 3),
    place("sync.synced", Crowd, "sync", 8),
    place("sync.announced", Crowd, "sync", 8),
    place("sync.woken", Crowd, "sync", 8),
    place("sync.named", Crowd, "topics", 4),
    place("recovery.metadata", AllDied, "open", 3),
    place("recovery.settled", AllDied, "open", 3),
    place("recovery.begun", Alone, "topics", 3),
    place("recovery.walked", AllDied, "open", 3),
    place("recovery.replayed", AllDied, "open", 3),
    place("recovery.done", AllDied, "open", 3),
    place("recovery.filled", AllDied, "open", 3),
    place("recovery.quarantined", Torn, "open", 1),
    place("recovery.trimmed", AllDied, "open", 1),
    place("recovery.cut", Torn, "open", 1),
    place("recovery.synced", Torn, "open", 3),
    place("recovery.epochs", Torn, "open", 3),
    place("open.locked", Alone, "open", 3),
    place("open.unmarked", Alone, "open", 3),
    place("open.identified", Alone, "open", 3),
    place("control.removed", Alone, "open", 3),
    place("control.mapped", Alone, "open", 3),
    place("control.ready", Alone, "open", 3),
    place("open.emptied", Alone, "open", 3),
    place("open.surveyed", Alone, "open", 3),
    place("open.written", Alone, "open", 3),
    place("open.kept", Alone, "open", 3),
    place("open.shared", Alone, "open", 3),
    place("close.closed", Alone, "open", 3),
    place("close.released", Crowd, "open", 3),
    place("close.last", Alone, "open", 3),
    place("seal.timed", AllDied, "open", 5),
    place("close.settled", Alone, "open", 5),
    place("close.retired", Alone, "open", 3),
    place("mark.ends", Alone, "open", 3),
    place("mark.starts", Alone, "open", 3),
    place("replace.written", Crowd, "topics", 5),
    place("replace.synced", Crowd, "topics", 5),
    place("replace.renamed", Crowd, "topics", 5),
    place("topics.locked", Crowd, "topics", 4),
    place("topics.read", Crowd, "topics", 4),
    place("topics.folder", Crowd, "topics", 4),
    place("topics.begun", Crowd, "topics", 4),
    place("topics.written", Crowd, "topics", 4),
    place("topics.told", Crowd, "topics", 4),
    place("settings.begun", Crowd, "topics", 4),
    place("settings.written", Crowd, "topics", 4),
    place("delete.forgotten", Crowd, "topics", 2),
    place("delete.tombstones", Crowd, "topics", 2),
    place("delete.listed", Crowd, "topics", 3),
    place("delete.marked", Crowd, "topics", 3),
    place("delete.renamed", Crowd, "topics", 3),
    place("delete.removing", Crowd, "topics", 8),
    place("delete.removed", Crowd, "topics", 3),
    place("offsets.found", Crowd, "commit", 20),
    place("offsets.read", Crowd, "commit", 20),
    place("commit.prepared", Crowd, "commit", 20),
    place("commit.locked", Crowd, "commit", 20),
    place("commit.appended", Crowd, "commit", 20),
    place("commit.unlocked", Crowd, "commit", 20),
    place("commit.synced", Crowd, "commit", 20),
    place("commit.alone", Crowd, "commit", 20),
    place("group.locked", Crowd, "group", 8),
    place("group.decided", Crowd, "group", 8),
    place("group.noted", Crowd, "group", 6),
    place("group.written", Crowd, "group", 6),
    place("group.placed", Crowd, "group", 6),
    place("group.versioned", Crowd, "group", 6),
    place("group.published", Crowd, "group", 6),
    place("rebalance.occupied", Crowd, "group", 2),
    place("rebalance.joined", Crowd, "group", 2),
    place("rebalance.taken", Crowd, "group", 2),
    place("rebalance.released", Crowd, "group", 2),
    place("rebalance.left", Crowd, "group", 2),
    place("compact.batch", Crowd, "compact", 40),
    place("compact.written", Crowd, "compact", 2),
    place("compact.begun", Crowd, "compact", 2),
    place("swap.staging", Crowd, "compact", 4),
    place("swap.staged", Crowd, "compact", 2),
    place("swap.removing", Crowd, "compact", 3),
    place("swap.removed", Crowd, "compact", 2),
    place("swap.renaming", Crowd, "compact", 4),
    place("swap.undone", After("swap.staging"), "compact", 1),
    place("compact.swapped", Crowd, "compact", 2),
    place("compact.ended", Crowd, "compact", 2),
    place("compact.cleaned", Crowd, "compact", 2),
    place("compact.noted", Crowd, "compact", 2),
    place("admin.decided", Crowd, "admin", 4),
    place("admin.appended", Crowd, "admin", 4),
    place("admin.removed", Crowd, "admin", 3),
    place("retain.noted", Crowd, "retain", 4),
    place("retain.rolled", Crowd, "retain", 2),
    place("retain.told", Crowd, "retain", 2),
    place("retain.started", Crowd, "retain", 4),
    place("retain.begun", Crowd, "retain", 4),
    place("retain.renaming", Crowd, "retain", 8),
    place("retain.buried", Crowd, "retain", 4),
    place("retain.removed", Crowd, "retain", 8),
    place("retain.round", Crowd, "retain", 2),
    place("expire.locked", Crowd, "expire", 2),
    place("expire.decided", Crowd, "expire", 2),
    place("expire.appended", Crowd, "expire", 2),
    place("expire.checked", Crowd, "expire", 2),
];

/// Those to which nobody comes whose system calls all succeed.
const OF_FAILURES: [&str; 1] = ["sync.poisoned"];

/// The place of that name.
pub(crate) fn named(name: &str) -> Place {
    *PLACES.iter().find(|place| place.name == name).unwrap()
}

/// The names in the sources.
fn names_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            names_in(&entry.path(), names);
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        for rest in text.split("point(\"").skip(1) {
            let name = rest.split('"').next().unwrap();
            // Those of the tests of points have no dot.
            if name.contains('.') {
                assert!(names.insert(name.to_owned()), "{name} names two points");
            }
        }
    }
}

#[test]
fn the_list_has_each_point_of_the_sources_once() {
    let mut found = BTreeSet::new();
    for layer in ["engine", "log"] {
        names_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(layer), &mut found);
    }
    let all = PLACES.iter().map(|place| place.name).chain(OF_FAILURES);
    let mut listed: Vec<_> = all.map(str::to_owned).collect();
    listed.sort_unstable();

    assert_eq!(listed, found.into_iter().collect::<Vec<_>>());
}
