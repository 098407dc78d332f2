//! Links, FIFOs, devices and folders, planted where a file should be.

use std::fmt::Debug;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use brokerless::Result;
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;

use crate::busy;
use crate::support::Deadline;

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    Link,
    DanglingLink,
    LinkToFolder,
    HardLink,
    Fifo,
    Socket,
    Device,
    Folder,
}

const PLANTS: [Plant; 8] = [
    Plant::Link,
    Plant::DanglingLink,
    Plant::LinkToFolder,
    Plant::HardLink,
    Plant::Fifo,
    Plant::Socket,
    Plant::Device,
    Plant::Folder,
];

/// Something of somebody else's, which nobody may touch.
struct Foreign {
    folder: tempfile::TempDir,
}

impl Foreign {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        std::fs::write(folder.path().join("file"), "precious").unwrap();
        std::fs::write(folder.path().join("folder/file"), "precious").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything about it that may be changed.
    fn state(&self) -> impl Debug + PartialEq + use<> {
        let whole = |(path, metadata): (PathBuf, std::fs::Metadata)| {
            let bytes = std::fs::read(self.path(path.to_str().unwrap())).ok();
            (path, bytes, metadata.permissions().mode(), metadata.modified().unwrap())
        };
        busy::walk(self.folder.path()).into_iter().map(whole).collect::<Vec<_>>()
    }

    /// `None` if this user may not make such a thing.
    fn plant(&self, plant: Plant, at: &Path) -> Option<()> {
        let run = |name: &str, args: &[&str]| {
            let done = Command::new(name).arg(at).args(args).output().unwrap();
            done.status.success().then_some(())
        };
        match plant {
            Plant::Link => symlink(self.path("file"), at).unwrap(),
            Plant::DanglingLink => symlink(self.path("nothing"), at).unwrap(),
            Plant::LinkToFolder => symlink(self.path("folder"), at).unwrap(),
            Plant::HardLink => std::fs::hard_link(self.path("file"), at).unwrap(),
            Plant::Fifo => run("mkfifo", &[]).unwrap(),
            // The file stays when nobody listens any more.
            Plant::Socket => drop(UnixListener::bind(at).unwrap()),
            Plant::Device => run("mknod", &["c", "1", "5"])?,
            Plant::Folder => std::fs::create_dir(at).unwrap(),
        }
        Some(())
    }
}

fn remove(path: &Path) {
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        std::fs::remove_dir_all(path).unwrap();
    } else {
        std::fs::remove_file(path).unwrap();
    }
}

/// Does the work in a thread of its own, so that what hangs is noticed.
fn in_time(dir: &Path) -> Result<()> {
    let (done, result) = mpsc::channel();
    let dir = dir.to_owned();
    thread::spawn(move || done.send(busy::work_and_close(&dir)));
    result.recv_timeout(Deadline::far().left()).expect("it does not hang")
}

/// One directory of each kind of file, closed in good order or, without its marker, left behind.
fn copy(from: &Path, clean: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(dir.path()).status();
    assert!(status.unwrap().success());
    if !clean {
        std::fs::remove_file(dir.path().join(".kafka_cleanshutdown")).unwrap();
    }
    dir
}

fn base() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    busy::begin(dir.path());
    busy::work_and_close(dir.path()).unwrap();
    dir
}

/// Files of which it is enough to plant one of a kind: the last of each folder is the active one.
fn paths(base: &Path) -> Vec<PathBuf> {
    let all: Vec<_> = busy::walk(base)
        .into_iter()
        .filter(|(path, metadata)| metadata.is_file() && !path.starts_with("__consumer_offsets-0"))
        .map(|(path, _)| path)
        .collect();
    let of_last = |path: &&PathBuf| {
        let same = |other: &&PathBuf| {
            other.parent() == path.parent() && busy::kind(other) == busy::kind(path)
        };
        all.iter().rfind(same) == Some(*path)
    };
    let mut some: Vec<PathBuf> = all.iter().filter(of_last).cloned().collect();
    let temporary = [".brokerless-topics.tmp", "recovery-point-offset-checkpoint.tmp"];
    some.extend(temporary.map(PathBuf::from));
    some.push(format!("{}-0/partition.metadata.tmp", busy::PLAIN).into());
    some
}

/// Files of which a planted one may be removed without a look, or is never opened.
fn may_go(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    let suffix = Path::new(name).extension().and_then(|suffix| suffix.to_str());
    name.starts_with(".brokerless-group-")
        || matches!(suffix, Some("tmp" | "snapshot" | "txnindex" | "timeindex" | "index"))
}

#[test]
fn what_is_planted_in_the_place_of_a_file_is_refused_by_its_name() {
    let base = base();
    let mut cases = Vec::new();
    for (number, path) in paths(base.path()).into_iter().enumerate() {
        for (turn, plant) in PLANTS.into_iter().enumerate() {
            cases.push((path.clone(), plant, (number + turn) % 2 == 0));
        }
    }

    // Most of the time goes by in syncs.
    thread::scope(|scope| {
        for some in cases.chunks(cases.len().div_ceil(8)) {
            let base = base.path();
            scope.spawn(move || {
                for (path, plant, clean) in some {
                    try_one(base, path, *plant, *clean);
                }
            });
        }
    });
    println!("{} cases", cases.len());
}

fn try_one(base: &Path, path: &Path, plant: Plant, clean: bool) {
    let (dir, foreign) = (copy(base, clean), Foreign::new());
    let at = dir.path().join(path);
    if at.exists() {
        remove(&at);
    }
    if foreign.plant(plant, &at).is_none() {
        return;
    }
    let before = foreign.state();

    let result = in_time(dir.path());

    let case = format!("{plant:?} at {}, clean {clean}: {result:?}", path.display());
    assert_eq!(foreign.state(), before, "{case}");
    check(&result, path, plant, &case);
}

fn check(result: &Result<()>, path: &Path, plant: Plant, case: &str) {
    let Err(error) = result else {
        // A second name does no harm to who only reads.
        assert!(may_go(path) || plant == Plant::HardLink, "{case}");
        return;
    };
    let text = error.to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name), "{case}");
}

#[test]
fn a_link_in_the_place_of_a_partitions_folder_is_refused_by_its_name() {
    let base = base();
    for target in ["folder", "nothing", "file"] {
        let (dir, foreign) = (copy(base.path(), true), Foreign::new());
        let folder = dir.path().join(format!("{}-0", busy::PLAIN));
        remove(&folder);
        symlink(foreign.path(target), &folder).unwrap();
        let before = foreign.state();

        let results = [in_time(dir.path()), open_read_only(dir.path())];

        for result in results {
            let text = result.unwrap_err().to_string();
            assert!(text.contains("plain-0 is a symbolic link"), "{text}");
        }
        assert_eq!(foreign.state(), before, "{target}");
    }
}

fn open_read_only(dir: &Path) -> Result<()> {
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    Engine::open(dir, options, Env::system()).map(drop)
}

#[test]
fn the_directory_itself_may_be_reached_by_a_link() {
    let base = base();
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink(base.path(), &link).unwrap();

    in_time(&link).unwrap();
    open_read_only(&link).unwrap();
}

#[test]
fn a_folder_that_becomes_a_link_while_it_is_in_use_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    busy::begin(dir.path());
    let foreign = Foreign::new();
    let held = busy::work(dir.path()).unwrap();
    let folder = dir.path().join(format!("{}-0", busy::PLAIN));
    std::fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
    symlink(foreign.path("folder"), &folder).unwrap();
    let before = foreign.state();

    let result = in_time(dir.path());

    assert!(result.unwrap_err().to_string().contains("symbolic link"));
    drop(held);
    assert_eq!(foreign.state(), before);
}
