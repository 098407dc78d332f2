//! The test binary as another process.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Deadline;

const ROLE: &str = "BROKERLESS_TEST_ROLE";
const ARG: &str = "BROKERLESS_TEST_ARG_";
/// Begins a line that was said; the harness prints others.
const SAID: &str = "@ ";

/// This binary, running in a role. It is killed when the test ends, however it ends.
pub(crate) struct Process {
    role: String,
    child: Child,
    said: Receiver<String>,
}

impl Process {
    /// Starts this binary as `role`, one of those that `roles!` declared; there, [`arg`] gives the
    /// arguments.
    pub(crate) fn start(role: &str, args: &[(&str, &str)]) -> Self {
        Self::start_with(role, args, &[])
    }

    /// The same, with more in its environment.
    pub(crate) fn start_with(role: &str, args: &[(&str, &str)], more: &[(&str, &str)]) -> Self {
        let command = Command::new(env::current_exe().expect("a test binary has a path"));
        Self::start_by(command, role, args, more)
    }

    /// The same, with the signal that comes with a file that is too long ignored, as in Python.
    pub(crate) fn start_with_file_limits(role: &str, args: &[(&str, &str)]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
        command.arg(env::current_exe().expect("a test binary has a path"));
        Self::start_by(command, role, args, &[])
    }

    /// The same, on a file system in memory of `size` (`2m`) that only it and its own processes see
    /// at `dir`.
    pub(crate) fn start_on_small_disk(
        role: &str,
        args: &[(&str, &str)],
        dir: &str,
        size: &str,
    ) -> Self {
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs -o size=\"$0\" none \"$1\" && shift && exec \"$@\"";
        command.args(["-rm", "sh", "-c", script, size, dir]);
        command.arg(env::current_exe().expect("a test binary has a path"));
        Self::start_by(command, role, args, &[])
    }

    fn start_by(
        mut command: Command,
        role: &str,
        args: &[(&str, &str)],
        more: &[(&str, &str)],
    ) -> Self {
        command
            .args(["--exact", "in_a_role", "--nocapture", "--quiet"])
            .env(ROLE, role)
            .envs(args.iter().map(|(name, value)| (format!("{ARG}{name}"), value)))
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process can be started");
        let lines = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
        let (say, said) = mpsc::channel();
        // Ends with the process, and with whatever inherited its output.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(text) = line.strip_prefix(SAID) {
                    let _ = say.send(text.to_owned());
                }
            }
        });
        Self { role: role.to_owned(), child, said }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the process says next; panics when it ends, or stays silent for too long.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> String {
        match self.said.recv_timeout(Deadline::far().left()) {
            Ok(said) => said,
            Err(RecvTimeoutError::Timeout) => panic!("the {} is silent", self.role),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the {} has ended: {:?}", self.role, self.child.wait())
            }
        }
    }

    /// What the process has said by now.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        self.said.try_iter().collect()
    }

    /// All that the process says until it ends, or until `deadline`.
    pub(crate) fn rest(&mut self, deadline: Deadline) -> Vec<String> {
        std::iter::from_fn(|| self.said.recv_timeout(deadline.left()).ok()).collect()
    }

    /// Ends it at once (`SIGKILL`), and waits until the kernel has given back its locks.
    pub(crate) fn kill(&mut self) {
        // Has ended already, if it fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it (`SIGSTOP`) until [`go_on`](Self::go_on).
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Waits until it has stopped, by itself.
    pub(crate) fn wait_until_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.child.id());
        let deadline = Deadline::far();
        // The state follows the name, which is in parentheses.
        while !std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T ")) {
            assert!(!deadline.is_over(), "the {} does not stop", self.role);
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child has a process id"), signal).expect("it can be signalled");
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked for its end").is_some()
    }

    /// Waits until it ends by itself; panics when `deadline` is over.
    #[track_caller]
    pub(crate) fn wait(&mut self, deadline: Deadline) -> ExitStatus {
        while !self.has_ended() {
            assert!(!deadline.is_over(), "the {} does not end", self.role);
            thread::sleep(Duration::from_millis(1));
        }
        self.child.wait().expect("it has ended")
    }

    /// Waits until it ends, as a role does that came to its end.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        let status = self.wait(Deadline::far());
        assert!(status.success(), "the {} failed: {status}", self.role);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// In a role: the argument of that name.
#[track_caller]
pub(crate) fn arg(name: &str) -> String {
    env::var(format!("{ARG}{name}")).unwrap_or_else(|_| panic!("the argument {name} is missing"))
}

/// In a role: says a line to who started it.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // The harness may have begun a line of its own.
    let line = format!("\n{SAID}{text}\n");
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the test listens");
}

/// Lives as the role that the environment names, if it names one, and ends the process.
pub(crate) fn play(roles: &[(&str, fn())]) {
    let Ok(role) = env::var(ROLE) else { return };
    let (_, play) = roles.iter().find(|(name, _)| *name == role).expect("the role is declared");
    die_with_parent();
    play();
    process::exit(0);
}

/// A test that was killed leaves nobody behind.
fn die_with_parent() {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).expect("Linux can");
}
