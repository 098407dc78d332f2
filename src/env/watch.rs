//! Waiting for the death of other processes, for a poke, or for a while.
//!
//! A death that is seen is a hint to look at the locks, and never the truth: process ids are used
//! again. Where the system has no descriptors for processes, or a process lives in another
//! namespace of ids, nothing is seen, and who waits must look by the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::lock::fork_generation;
use super::process;
use crate::types::ProcessId;

/// Why a wait ended. What comes first in this list is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A process has ended, perhaps among other things.
    Death,
    /// Somebody poked.
    Poke,
    /// Nothing: the time is over, or a signal came.
    Nothing,
}

/// This process.
pub fn this_process() -> ProcessId {
    ProcessId { pid: process::id(), namespace: process::namespace() }
}

/// The waiting side; one thread has it.
#[derive(Debug)]
pub struct Watch {
    /// Without a descriptor if there is none to be had, or the death was told.
    processes: BTreeMap<ProcessId, Option<OwnedFd>>,
    this: ProcessId,
    reader: Arc<PipeReader>,
    pending: Arc<AtomicBool>,
}

/// The side that pokes. Every thread may have it.
#[derive(Debug)]
pub struct Poker {
    pipe: PipeWriter,
    /// Open for as long as somebody may write: there is no signal for a broken pipe.
    _reader: Arc<PipeReader>,
    /// A byte is in the pipe: one is enough.
    pending: Arc<AtomicBool>,
    fork_generation: u32,
}

impl Poker {
    /// Ends the wait that is going on, or else the next. In a child forked since it was made it
    /// does nothing: who waits is the parent.
    pub fn poke(&self) {
        if self.fork_generation == fork_generation() && !self.pending.swap(true, Ordering::AcqRel) {
            // There is room for a byte.
            let _ = (&self.pipe).write(&[0]);
        }
    }
}

impl Watch {
    /// Watches no process yet.
    pub fn new() -> io::Result<(Self, Poker)> {
        let (reader, pipe) = io::pipe()?;
        let (reader, pending) = (Arc::new(reader), Arc::new(AtomicBool::new(false)));
        let poker = Poker {
            pipe,
            _reader: Arc::clone(&reader),
            pending: Arc::clone(&pending),
            fork_generation: fork_generation(),
        };
        let processes = BTreeMap::new();
        Ok((Self { processes, this: this_process(), reader, pending }, poker))
    }

    /// Watches these processes from now on, instead of those before. The death of each is told
    /// once; one that is dead already is told by the next wait, or never.
    pub fn follow(&mut self, processes: impl IntoIterator<Item = ProcessId>) {
        let wanted: BTreeSet<_> = processes.into_iter().filter(|id| *id != self.this).collect();
        self.processes.retain(|id, _| wanted.contains(id));
        for id in wanted {
            let here = id.namespace == self.this.namespace && id.namespace != 0;
            self.processes.entry(id).or_insert_with(|| sys::open(id.pid).filter(|_| here));
        }
    }

    /// Sleeps until a process dies, somebody pokes, a signal comes, or the time is over.
    pub fn wait(&mut self, timeout: Duration) -> Seen {
        let watched = || self.processes.iter().filter_map(|(id, fd)| Some((*id, fd.as_ref()?)));
        let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let descriptors: Vec<BorrowedFd<'_>> =
            [self.reader.as_fd()].into_iter().chain(watched().map(|(_, fd)| fd.as_fd())).collect();
        let mut polled: Vec<_> = descriptors.into_iter().map(readable).collect();
        // Too long for the kernel's clock is as good as for ever.
        let timeout = Timespec::try_from(timeout).ok();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(count) if count > 0 => {}
            Ok(_) | Err(Errno::INTR) => return Seen::Nothing,
            Err(error) => {
                log::warn!("watching processes: {error}");
                return Seen::Nothing;
            }
        }
        let ready: Vec<_> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        let dead: Vec<_> =
            watched().zip(&ready[1..]).filter(|(_, dead)| **dead).map(|((id, _), _)| id).collect();
        if ready[0] {
            self.take_poke();
        }
        for id in &dead {
            self.processes.insert(*id, None);
        }
        match (dead.is_empty(), ready[0]) {
            (false, _) => Seen::Death,
            (true, true) => Seen::Poke,
            (true, false) => Seen::Nothing,
        }
    }

    fn take_poke(&mut self) {
        // There is one byte, or nobody is left who could poke.
        let _ = (&*self.reader).read(&mut [0]);
        // Whoever finds it set did what it poked for before this, and who waited looks after it.
        self.pending.swap(false, Ordering::AcqRel);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod sys {
    use std::os::fd::OwnedFd;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    /// A descriptor that becomes readable when the process ends. It is closed on exec.
    pub(super) fn open(pid: u32) -> Option<OwnedFd> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        pidfd_open(pid, PidfdFlags::empty()).ok()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod sys {
    use std::os::fd::OwnedFd;

    pub(super) fn open(_pid: u32) -> Option<OwnedFd> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(1);

    /// A process that does nothing until it is killed.
    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Self {
            let mut command = Command::new("sleep");
            Self(command.arg("60").stdin(Stdio::null()).spawn().unwrap())
        }

        fn id(&self) -> ProcessId {
            ProcessId { pid: self.0.id(), ..this_process() }
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn a_wait_with_nothing_to_see_ends_with_its_time() {
        let (mut watch, _poker) = Watch::new().unwrap();

        assert_eq!(watch.wait(SHORT), Seen::Nothing);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_death_ends_the_wait_and_is_told_once() {
        let (mut watch, _poker) = Watch::new().unwrap();
        let mut sleeper = Sleeper::start();
        watch.follow([sleeper.id()]);
        assert_eq!(watch.wait(SHORT), Seen::Nothing);

        sleeper.0.kill().unwrap();

        assert_eq!(watch.wait(LONG), Seen::Death);
        watch.follow([sleeper.id()]);
        assert_eq!(watch.wait(SHORT), Seen::Nothing);
    }

    #[test]
    fn a_process_that_is_not_followed_any_more_may_die_unseen() {
        let (mut watch, _poker) = Watch::new().unwrap();
        let sleeper = Sleeper::start();
        watch.follow([sleeper.id()]);

        watch.follow([]);
        drop(sleeper);

        assert_eq!(watch.wait(SHORT), Seen::Nothing);
    }

    #[test]
    fn a_process_of_another_namespace_is_not_mistaken_for_one_of_ours() {
        let (mut watch, _poker) = Watch::new().unwrap();
        let sleeper = Sleeper::start();
        let stranger = ProcessId { namespace: sleeper.id().namespace + 1, ..sleeper.id() };

        watch.follow([stranger]);
        drop(sleeper);

        assert_eq!(watch.wait(SHORT), Seen::Nothing);
    }

    #[test]
    fn a_process_that_is_not_there_is_not_waited_for() {
        let (mut watch, _poker) = Watch::new().unwrap();
        let (zero, none) = (ProcessId { pid: 0, ..this_process() }, i32::MAX.unsigned_abs());

        watch.follow([zero, ProcessId { pid: none, ..this_process() }, this_process()]);

        assert_eq!(watch.wait(SHORT), Seen::Nothing);
    }

    #[test]
    fn a_poke_ends_the_wait_of_another_thread() {
        let (mut watch, poker) = Watch::new().unwrap();

        thread::scope(|scope| {
            scope.spawn(|| poker.poke());
            assert_eq!(watch.wait(LONG), Seen::Poke);
        });
    }

    #[test]
    fn pokes_before_a_wait_end_that_one_and_no_other() {
        let (mut watch, poker) = Watch::new().unwrap();
        // More than a pipe holds.
        (0..200_000).for_each(|_| poker.poke());

        assert_eq!(watch.wait(LONG), Seen::Poke);
        assert_eq!(watch.wait(SHORT), Seen::Nothing);
        poker.poke();
        assert_eq!(watch.wait(LONG), Seen::Poke);
    }

    #[test]
    fn poking_whom_nobody_waits_for_does_nothing() {
        let (watch, poker) = Watch::new().unwrap();
        drop(watch);

        poker.poke();
    }
}
