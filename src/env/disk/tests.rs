//! What only a disk has: permissions, links, devices, blocks.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;

use super::*;
use crate::env::Mode;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn permissions(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What each way of opening a path gives.
fn openings(path: &Path) -> [io::Result<()>; 5] {
    [
        Disk.open(path, Access::Read).map(drop),
        Disk.open(path, Access::Write).map(drop),
        Disk.lock(path).map(drop),
        Disk.lock_record(path).map(drop),
        Disk.map(path, 0, 8).map(drop),
    ]
}

#[test]
fn new_files_and_folders_are_the_users_alone() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name);

    Disk.create_dir(&path("a/b")).unwrap();
    Disk.open(&path("file"), Access::Write).unwrap();
    Disk.lock(&path("lock")).unwrap();
    Disk.lock_record(&path("record")).unwrap();
    Disk.map(&path("map"), 0, 8).unwrap();

    assert_eq!([permissions(&path("a")), permissions(&path("a/b"))], [0o700; 2]);
    for name in ["file", "lock", "record", "map"] {
        assert_eq!(permissions(&path(name)), 0o600, "{name}");
    }
}

#[test]
fn a_link_is_not_followed() {
    let dir = folder();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    symlink(&target, &link).unwrap();

    for exists in [false, true] {
        if exists {
            fs::write(&target, "untouched").unwrap();
        }
        for opened in openings(&link) {
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(
                error.to_string(),
                "it is a symbolic link, not a regular file; move it away, or put the file itself in its place"
            );
        }
        assert_eq!(target.exists(), exists);
    }
    assert_eq!(fs::read(&target).unwrap(), b"untouched");
}

#[test]
fn a_link_to_a_folder_is_no_folder() {
    let dir = folder();
    symlink(dir.path(), dir.path().join("link")).unwrap();

    let entries = Disk.list(dir.path()).unwrap();

    assert_eq!(entries, [Entry { name: "link".to_owned(), is_dir: false }]);
}

#[test]
fn what_is_not_a_regular_file_is_refused_without_waiting() {
    let dir = folder();
    let (fifo, socket) = (dir.path().join("fifo"), dir.path().join("socket"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _listener = UnixListener::bind(&socket).unwrap();

    for path in [fifo, socket, PathBuf::from("/dev/null"), PathBuf::from("/dev/zero")] {
        for opened in openings(&path) {
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{}", path.display());
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }
}

#[test]
fn a_program_that_is_started_inherits_nothing() {
    let dir = folder();
    let file = open(&dir.path().join("a"), OFlags::RDWR | OFlags::CREATE).unwrap();

    let flags = rustix::io::fcntl_getfd(&file).unwrap();

    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn a_map_has_its_place_on_the_disk() {
    let dir = folder();
    let path = dir.path().join("m");
    Disk.open(&path, Access::Write).unwrap().set_len(1 << 20).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().blocks(), 0, "a hole");

    let _map = Disk.map(&path, 0, 1 << 17).unwrap();

    assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
}

#[test]
fn a_map_that_is_too_long_is_an_error() {
    let dir = folder();
    let path = dir.path().join("m");

    for words in [usize::MAX, usize::MAX / 8] {
        assert!(Disk.map(&path, 0, words).is_err());
        assert!(Disk.map(&path, u64::MAX / MAP_UNIT * MAP_UNIT, words).is_err());
    }
}

#[test]
fn zeros_are_appended_and_overwrite_nothing() {
    let dir = folder();
    let path = dir.path().join("m");
    let threads: Vec<_> = (0..4_u8)
        .map(|number| {
            let path = path.clone();
            thread::spawn(move || {
                let file = open(&path, OFlags::RDWR | OFlags::CREATE).unwrap();
                append_zeros(&file, 100_000).unwrap();
                // An ordinary map of another process, which is stored into at once.
                let map = Disk.map(&path, 0, 8).unwrap();
                map.words()[usize::from(number)].store(u64::MAX, Ordering::Relaxed);
            })
        })
        .collect();

    for thread in threads {
        thread.join().unwrap();
    }

    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() >= 100_000);
    assert_eq!(bytes[..32], [0xff; 32]);
    assert!(bytes[32..].iter().all(|byte| *byte == 0));
}

#[test]
fn locks_work_where_nothing_may_be_written() {
    let dir = folder();
    let path = dir.path().join("l");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();

    let (flock, record) = (Disk.lock(&path).unwrap(), Disk.lock_record(&path).unwrap());

    assert!(flock.try_acquire(Mode::Exclusive).unwrap());
    assert!(record.try_acquire(Mode::Shared).unwrap());
}
