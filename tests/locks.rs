//! Locks between real processes, which are killed, and fork.
#![allow(unsafe_code)] // fork

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use brokerless::env::disk::Disk;
use brokerless::env::lock::{
    after_fork_in_child, after_fork_in_parent, before_fork, fork_generation,
};
use brokerless::env::{Lock, Mode, RecordLock, Storage};

mod support;

use support::{Process, arg, eventually, say};

support::roles!(holder, waiter, forker, crowd);

fn path() -> PathBuf {
    PathBuf::from(arg("path"))
}

fn flock(path: &std::path::Path) -> Box<dyn Lock> {
    Disk::new().lock(path).expect("a lock can be made")
}

fn record(path: &std::path::Path) -> Box<dyn RecordLock> {
    Disk::new().lock_record(path).expect("a lock can be made")
}

/// A file to lock, in a folder of its own.
fn file() -> (tempfile::TempDir, PathBuf, String) {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let path = dir.path().join("lock");
    let text = path.to_str().expect("its name is text").to_owned();
    (dir, path, text)
}

/// Holds both kinds of locks until it is killed.
fn holder() {
    let (flock, record) = (flock(&path()), record(&path()));
    flock.acquire(Mode::Exclusive).expect("nobody else holds it");
    assert!(record.try_acquire(Mode::Exclusive).expect("it can be locked"));
    say("locked");
    loop {
        thread::park();
    }
}

fn waiter() {
    let lock = flock(&path());
    say("waiting");
    lock.acquire(Mode::Exclusive).expect("it can be locked");
    say("locked");
}

#[test]
fn the_locks_of_a_killed_process_are_free() {
    let (_dir, path, text) = file();
    let mut holder = Process::start("holder", &[("path", &text)]);
    assert_eq!(holder.hear(), "locked");
    let (flock, record) = (flock(&path), record(&path));
    assert!(!flock.try_acquire(Mode::Shared).unwrap());
    assert!(!record.try_acquire(Mode::Shared).unwrap());

    holder.kill();

    assert!(flock.try_acquire(Mode::Exclusive).unwrap());
    assert!(record.try_acquire(Mode::Exclusive).unwrap());
}

#[test]
fn a_waiting_process_goes_on_when_the_holder_is_killed() {
    let (_dir, _, text) = file();
    let mut holder = Process::start("holder", &[("path", &text)]);
    assert_eq!(holder.hear(), "locked");
    let mut waiter = Process::start("waiter", &[("path", &text)]);
    assert_eq!(waiter.hear(), "waiting");
    thread::sleep(Duration::from_millis(20));
    assert_eq!(waiter.heard(), [""; 0]);

    holder.kill();

    assert_eq!(waiter.hear(), "locked");
    waiter.finish();
}

#[test]
fn a_stopped_process_keeps_its_locks() {
    let (_dir, path, text) = file();
    let mut holder = Process::start("holder", &[("path", &text)]);
    assert_eq!(holder.hear(), "locked");

    holder.stop();
    let while_stopped = flock(&path).try_acquire(Mode::Shared).unwrap();
    holder.go_on();

    assert!(!while_stopped);
    assert!(!holder.has_ended());
}

/// Makes a child as Python's `os.fork` does, or behind the back of this crate.
fn fork(known: bool, child: impl FnOnce()) -> libc::pid_t {
    if known {
        before_fork();
    }
    // SAFETY: this process has no other thread that holds a lock of the C library for long, and
    // the child ends without returning from here.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: it ends a child that hangs, which nobody else would.
            unsafe { libc::alarm(120) };
            let ended = catch_unwind(AssertUnwindSafe(|| {
                if known {
                    after_fork_in_child();
                }
                child();
            }));
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(ended.is_err())) }
        }
        pid => {
            if known {
                after_fork_in_parent();
            }
            pid
        }
    }
}

fn join(pid: libc::pid_t) {
    let mut status = -1;
    // SAFETY: `status` may be written.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((ended, status), (pid, 0), "the child failed");
}

/// Takes the locks, forks, and does what the argument `then` says.
fn forker() {
    let (flock, record) = (flock(&path()), record(&path()));
    flock.acquire(Mode::Exclusive).expect("nobody else holds it");
    assert!(record.try_acquire(Mode::Exclusive).expect("it can be locked"));
    match arg("then").as_str() {
        "child outlives us" => {
            let child = fork(true, || thread::sleep(Duration::from_secs(600)));
            say(&child.to_string());
            loop {
                thread::park();
            }
        }
        "child uses our locks" => {
            let generation = fork_generation();
            let child = fork(true, || {
                assert_ne!(fork_generation(), generation);
                assert!(flock.acquire(Mode::Exclusive).is_err());
                assert!(flock.try_acquire(Mode::Shared).is_err());
                assert!(flock.release().is_err());
                assert!(record.try_acquire(Mode::Shared).is_err());
                assert!(record.release().is_err());
                assert!(!self::flock(&path()).try_acquire(Mode::Shared).expect("a new one works"));
            });
            join(child);
            assert_eq!(fork_generation(), generation);
            assert!(flock.try_acquire(Mode::Exclusive).expect("ours works on"));
        }
        "child drops our locks" | "unknown child drops our locks" => {
            let known = !arg("then").starts_with("unknown");
            let mut locks = Some((flock, record));
            let child = fork(known, || drop(locks.take()));
            join(child);
            say("dropped");
            thread::park();
        }
        then => panic!("what is {then:?}?"),
    }
}

/// A process that is nobody's child any more.
struct Orphan(libc::pid_t);

impl Orphan {
    fn lives(&self) -> bool {
        // SAFETY: signal 0 only asks.
        unsafe { libc::kill(self.0, 0) == 0 }
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        // SAFETY: the process is one that this test made.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

#[test]
fn a_child_that_outlives_its_parent_does_not_hold_the_parents_locks() {
    let (_dir, path, text) = file();
    let mut forker = Process::start("forker", &[("path", &text), ("then", "child outlives us")]);
    let child = Orphan(forker.hear().parse().unwrap());
    let (flock, record) = (flock(&path), record(&path));
    assert!(!flock.try_acquire(Mode::Shared).unwrap());

    forker.kill();

    eventually("the locks", || {
        flock.try_acquire(Mode::Exclusive).unwrap() && record.try_acquire(Mode::Exclusive).unwrap()
    });
    assert!(child.lives());
}

#[test]
fn a_child_cannot_use_the_locks_of_its_parent() {
    let (_dir, _, text) = file();

    Process::start("forker", &[("path", &text), ("then", "child uses our locks")]).finish();
}

#[test]
fn a_child_that_drops_the_locks_of_its_parent_does_not_end_them() {
    for then in ["child drops our locks", "unknown child drops our locks"] {
        let (_dir, path, text) = file();

        let mut forker = Process::start("forker", &[("path", &text), ("then", then)]);
        assert_eq!(forker.hear(), "dropped");

        assert!(!flock(&path).try_acquire(Mode::Shared).unwrap(), "{then}");
        assert!(!record(&path).try_acquire(Mode::Shared).unwrap(), "{then}");
    }
}

/// Forks while other threads make and drop locks.
fn crowd() {
    for _ in 0..3 {
        let path = path();
        thread::spawn(move || {
            loop {
                let lock = flock(&path);
                assert!(lock.try_acquire(Mode::Shared).expect("it can be locked"));
            }
        });
    }
    for _ in 0..200 {
        let child = fork(true, || {
            let lock = self::flock(&path());
            assert!(lock.try_acquire(Mode::Shared).expect("it can be locked"));
        });
        join(child);
    }
}

#[test]
fn a_fork_beside_threads_that_make_locks_leaves_a_child_that_works() {
    let (_dir, path, text) = file();

    Process::start("crowd", &[("path", &text)]).finish();

    assert!(flock(&path).try_acquire(Mode::Exclusive).unwrap());
}
