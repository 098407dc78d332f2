//! Who may read and write what is made.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::Mode;

use crate::busy;
use crate::support::{Process, arg, say};

/// Works in a directory with a umask of its own; that is the whole process's.
pub(crate) fn worker() {
    let umask = u32::from_str_radix(&arg("umask"), 8).unwrap();
    rustix::process::umask(Mode::from_raw_mode(umask));
    let held = busy::work(Path::new(&arg("dir"))).unwrap();
    say("busy");
    drop(held);
}

/// The kinds of files that were found, each of which has the mode it should have.
fn check(
    dir: &Path,
    given: &BTreeSet<std::path::PathBuf>,
    file: u32,
    folder: u32,
) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for (path, metadata) in busy::walk(dir) {
        if given.contains(&path) {
            continue;
        }
        let due = if metadata.is_dir() { folder } else { file };
        let mode = metadata.permissions().mode() & 0o7777;
        assert_eq!(format!("{mode:o}"), format!("{due:o}"), "{}", path.display());
        kinds.insert(busy::kind(&path));
    }
    kinds
}

fn check_work(dir: &Path, umask: &str, file: u32, folder: u32) {
    busy::begin(dir);
    let given: BTreeSet<_> = busy::walk(dir).into_keys().collect();
    let args = [("dir", dir.to_str().unwrap()), ("umask", umask)];

    let mut process = Process::start("worker", &args);
    assert_eq!(process.hear(), "busy");
    let mut kinds = check(dir, &given, file, folder);
    process.finish();
    kinds.append(&mut check(dir, &given, file, folder));

    for kind in [
        ".lock",
        ".kafka_cleanshutdown",
        ".brokerless-control",
        ".brokerless-format",
        ".brokerless-topics",
        "meta.properties",
        "recovery-point-offset-checkpoint",
        "log-start-offset-checkpoint",
        "cleaner-offset-checkpoint",
        "group.lock",
        "group.live",
        "group.state",
        "partition.metadata",
        "leader-epoch-checkpoint",
        "log",
        "index",
        "timeindex",
    ] {
        assert!(kinds.contains(kind), "{kind} was not looked at; there are {kinds:?}");
    }
}

#[test]
fn everything_is_the_users_alone_whatever_the_umask() {
    for umask in ["0000", "0022", "0077", "0777"] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let made = dir.path().join("made");
        std::fs::create_dir(&made).unwrap();
        // A folder that everybody may write to is not a shared one: that takes the group's bit.
        std::fs::set_permissions(&made, Permissions::from_mode(0o777)).unwrap();

        check_work(&data, umask, 0o600, 0o700);
        check_work(&made, umask, 0o600, 0o700);
    }
}

#[test]
fn in_a_folder_that_its_group_shares_everything_is_the_groups() {
    for umask in ["0000", "0077", "0777"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o2770)).unwrap();

        check_work(dir.path(), umask, 0o660, 0o2770);
    }
}

#[test]
fn a_directory_that_is_made_is_the_users_alone_and_so_are_those_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/b");

    drop(busy::work(&data).unwrap_err());

    for folder in ["a", "a/b"] {
        let mode = dir.path().join(folder).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{folder}");
    }
}
