//! A failing `fdatasync` on a real file system, in one of several processes: all of them stop.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use brokerless::client::directory;
use brokerless::engine::OpenOptions;

use crate::check::{Promised, Verdict, check};
use crate::images::Dice;
use crate::mounts::{Failure, text};
use crate::work;

/// Longer than anything that works takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// A process says so when it learns of the failure, and then waits for its end.
pub const STOPPED: &str = "stopped";

/// A process that writes until it learns that a sync has failed.
struct Writer {
    child: Child,
    said: Receiver<String>,
}

impl Writer {
    /// With `failing`, that call of `fdatasync` of a thread of it fails, and those behind it.
    fn begin(place: &Path, name: &str, failing: Option<u64>) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let mut command = match failing {
            None => Command::new(program),
            Some(number) => {
                let inject = format!("inject=fdatasync:error=EIO:when={number}+");
                let mut strace = Command::new("strace");
                strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"]);
                strace.arg(inject).arg(program);
                strace
            }
        };
        let (dir, marks) = (place.join("data"), place.join("marks"));
        command.args(["work", work::STOPPING, text(&dir), text(&marks), name]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let said = listen(child.stdout.take().ok_or("its output is a pipe")?);
        Ok(Self { child, said })
    }

    fn hear_stopped(&self) -> Result<(), Failure> {
        match self.said.recv_timeout(PATIENCE)? {
            said if said == STOPPED => Ok(()),
            said => Err(format!("a process says {said:?}").into()),
        }
    }
}

impl Drop for Writer {
    /// Lets it go; one that does not is killed.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        for _ in 0..1000 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(output: ChildStdout) -> Receiver<String> {
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = say.send(line);
        }
    });
    said
}

/// In a writer: says that it has learned of the failure, and waits to be let go.
pub fn stopped() -> Result<(), Failure> {
    println!("{STOPPED}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// `rounds` times: three processes write, a sync of one fails, and all must learn of it.
pub fn run(place: &Path, rounds: u64, seed: u64) -> Result<bool, Failure> {
    let mut dice = Dice(seed);
    let mut acknowledged = 0;
    for round in 0..rounds {
        let place = place.join(round.to_string());
        let when = 1 + dice.roll(40);
        acknowledged += one(&place, when).map_err(|error| format!("round {round}: {error}"))?;
        std::fs::remove_dir_all(&place)?;
    }
    println!(
        "{rounds} failed syncs, each noticed by 4 processes; {acknowledged} records acknowledged before, all there"
    );
    Ok(true)
}

fn one(place: &PathBuf, when: u64) -> Result<usize, Failure> {
    std::fs::create_dir_all(place)?;
    let (dir, marks) = (place.join("data"), place.join("marks"));
    std::fs::write(&marks, "")?;
    work::prepare(&dir)?;
    // Held open, so that nobody comes as the first one meanwhile.
    let held = directory::open(&dir, OpenOptions::default())?;
    let mut writers = Vec::new();
    for (name, failing) in [("ann", None), ("bob", Some(when)), ("eve", None)] {
        writers.push(Writer::begin(place, name, failing)?);
    }
    for writer in &writers {
        writer.hear_stopped()?;
    }
    let before = std::fs::read_to_string(&marks)?;
    let late = Writer::begin(place, "late", None)?;
    late.hear_stopped()?;
    if std::fs::read_to_string(&marks)? != before {
        return Err("something was acknowledged after the failure".into());
    }
    drop((writers, late, held));
    let mut promised = Promised::default();
    for mark in before.lines() {
        promised.hear(mark).ok_or("a mark that is none")?;
    }
    match check(&dir, &promised) {
        Verdict::Right => Ok(promised.count()),
        Verdict::Lost(what) | Verdict::Wrong(what) | Verdict::Refused(what) => Err(what.into()),
    }
}
