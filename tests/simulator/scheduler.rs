//! Who goes on: simulated processes are threads of which exactly one runs, and at each of its
//! calls into its world a seed decides which one is next.
//!
//! A process that waits, for a lock or a word, looks again whenever somebody else has done
//! something. When nobody can go on, time passes until the first wait is over; when no wait ever
//! ends, that is a deadlock, and the simulation fails.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::dice::Dice;
use crate::faults::Faults;

/// Steps after which a phase has hung.
const MOST_STEPS: u64 = 2_000_000;

/// Steps that a failure shows.
const SHOWN: usize = 40;

/// So much likelier is it looked after a death in the middle of a change, and after something was
/// taken back.
const ZEAL: usize = 5;

/// And so much likelier before a sync.
const SYNC_ZEAL: usize = 25;

/// And so much likelier when somebody was told that something is on the disk, while a sync goes on.
const TOLD_ZEAL: usize = 100;

/// Steps for which it is looked more often then.
const AFTERMATH: u64 = 150;

/// How long a sync takes at most; a step takes up to 20 µs.
const LONGEST_SYNC: usize = 500;

/// What becomes of who made a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    GoOn,
    /// Go on, but first look at what a power loss would leave now.
    Look,
    /// It was killed, or the machine stopped.
    Die,
}

/// How a phase goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Steps, of all processes together, until it ends.
    pub(crate) steps: u64,
    /// Whether all die then; or else they are to come to their ends.
    pub(crate) dies: bool,
    /// Of ten thousand steps, those at which the process dies.
    pub(crate) kills: usize,
    /// The same of those in the middle of a change.
    pub(crate) kills_in_change: usize,
    /// Of ten thousand steps, those after which the same process goes on.
    pub(crate) stays: usize,
    /// Of ten thousand steps, those before which is looked.
    pub(crate) looks: usize,
    /// Calls of the system that fail.
    pub(crate) faults: Faults,
}

#[derive(Clone, Copy, Debug)]
enum Seat {
    Ready,
    Blocked {
        until: Option<Duration>,
        /// What [`State::progress`] was when it last looked.
        looked: u64,
    },
    Syncing {
        until: Duration,
    },
    Done,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    plan: Plan,
    running: usize,
    seats: Vec<Seat>,
    /// Steps so far.
    progress: u64,
    /// The step until which it is looked more often.
    aftermath: u64,
    /// Somebody was just told of a sync, and another one goes on.
    told: bool,
    now: Duration,
    /// The machine stopped.
    over: bool,
    /// The engine has said of a failed sync that nobody knows what the disk has.
    poisoned: bool,
    failure: Option<String>,
    trace: Trace,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// Of all steps.
    pub(crate) hash: u64,
    pub(crate) steps: u64,
    last: VecDeque<String>,
}

/// The processes of one machine, from one start of it to the next.
#[derive(Debug)]
pub(crate) struct Scheduler {
    state: Mutex<State>,
    turns: Vec<Condvar>,
}

impl Scheduler {
    pub(crate) fn new(dice: Dice, plan: Plan, seats: usize, now: Duration, trace: Trace) -> Self {
        let mut state = State {
            dice,
            plan,
            running: 0,
            seats: vec![Seat::Ready; seats],
            progress: 0,
            aftermath: 0,
            told: false,
            now,
            over: false,
            poisoned: false,
            failure: None,
            trace,
        };
        state.running = state.dice.below(seats);
        Self { state: Mutex::new(state), turns: (0..seats).map(|_| Condvar::new()).collect() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first turn.
    pub(crate) fn begin(&self, seat: usize) {
        drop(self.until_turn(self.state(), seat));
    }

    /// The process comes to a call.
    pub(crate) fn step(&self, seat: usize, what: &str, path: &str) -> Verdict {
        let mut state = self.state();
        state.note(seat, what, path);
        if state.is_over() {
            return Verdict::Die;
        }
        if state.dies(what, path) {
            return Verdict::Die;
        }
        let stays = state.plan.stays;
        if what == "sync_data" {
            state = self.sleep(state, seat);
        } else if !state.dice.rarely(stays) {
            state = self.hand_over(state, seat);
        }
        if state.over {
            return Verdict::Die;
        }
        let looks = state.looks(what);
        if state.dice.rarely(looks) { Verdict::Look } else { Verdict::GoOn }
    }

    /// Others go on while a process syncs.
    fn sleep<'a>(&self, mut state: MutexGuard<'a, State>, seat: usize) -> MutexGuard<'a, State> {
        let time = Duration::from_micros(state.dice.below(LONGEST_SYNC) as u64);
        let until = state.now + time;
        state.seats[seat] = Seat::Syncing { until };
        let mut state = self.hand_over(state, seat);
        state.seats[seat] = Seat::Ready;
        state
    }

    /// The process cannot go on before somebody else does something, or that time comes.
    pub(crate) fn block(&self, seat: usize, until: Option<Duration>) -> Verdict {
        let mut state = self.state();
        state.seats[seat] = Seat::Blocked { until, looked: state.progress };
        let mut state = self.hand_over(state, seat);
        state.seats[seat] = Seat::Ready;
        if state.over { Verdict::Die } else { Verdict::GoOn }
    }

    /// The process's thread is at its end.
    pub(crate) fn finish(&self, seat: usize) {
        let mut state = self.state();
        state.seats[seat] = Seat::Done;
        state.progress += 1;
        if let Some(next) = state.next() {
            state.running = next;
            self.turns[next].notify_all();
        }
    }

    fn hand_over<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        seat: usize,
    ) -> MutexGuard<'a, State> {
        let next = state.next().unwrap_or(seat);
        if next == seat {
            return state;
        }
        state.running = next;
        self.turns[next].notify_all();
        self.until_turn(state, seat)
    }

    fn until_turn<'a>(&self, state: MutexGuard<'a, State>, seat: usize) -> MutexGuard<'a, State> {
        let turn = &self.turns[seat];
        turn.wait_while(state, |state| state.running != seat)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Simulated time.
    pub(crate) fn now(&self) -> Duration {
        self.state().now
    }

    /// Whether the processes are to come to their ends.
    pub(crate) fn is_ending(&self) -> bool {
        let state = self.state();
        state.is_ending() || state.over
    }

    /// The engine says of a failed sync that nobody knows what the disk has.
    pub(crate) fn poison(&self) {
        self.state().poisoned = true;
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.state().poisoned
    }

    /// Somebody is told that something is on the disk.
    pub(crate) fn tell(&self) {
        let mut state = self.state();
        state.told = state.seats.iter().any(|seat| matches!(seat, Seat::Syncing { .. }));
    }

    /// A chance that belongs to the order of steps.
    pub(crate) fn chance(&self) -> Dice {
        self.state().dice.split()
    }

    /// Something is wrong: the machine stops.
    pub(crate) fn fail(&self, what: &str) {
        self.state().fail(what);
    }

    /// What was done, and what was wrong.
    pub(crate) fn outcome(&self) -> (Trace, Option<String>, Duration) {
        let state = self.state();
        (state.trace.clone(), state.failure.clone(), state.now)
    }
}

impl State {
    fn note(&mut self, seat: usize, what: &str, path: &str) {
        self.progress += 1;
        self.now += Duration::from_micros(self.dice.below(20) as u64);
        self.trace.add(seat, what, path);
    }

    /// Whether who makes the step is killed at it.
    fn dies(&mut self, what: &str, path: &str) -> bool {
        let in_cleaning = path.starts_with("retain.");
        let in_change =
            what == "write on" || ["append.written", "roll.created"].contains(&path) || in_cleaning;
        let kills = if in_change { self.plan.kills_in_change } else { self.plan.kills };
        let dies = !self.is_ending() && self.dice.rarely(kills);
        if path.starts_with("rollback.") || in_cleaning || dies && in_change {
            self.aftermath = self.progress + AFTERMATH;
        }
        dies
    }

    fn looks(&mut self, what: &str) -> usize {
        let told = std::mem::take(&mut self.told);
        self.plan.looks
            * match what {
                _ if told => TOLD_ZEAL,
                "sync_data" => SYNC_ZEAL,
                _ if self.progress < self.aftermath => ZEAL,
                _ => 1,
            }
    }

    fn is_ending(&self) -> bool {
        !self.plan.dies && self.progress >= self.plan.steps
    }

    fn is_over(&mut self) -> bool {
        self.over |= self.plan.dies && self.progress >= self.plan.steps;
        if self.progress > MOST_STEPS {
            self.fail("it does not come to an end");
        }
        self.over
    }

    fn fail(&mut self, what: &str) {
        self.over = true;
        let trace = self.trace.last.iter().fold(String::new(), |all, line| all + "\n  " + line);
        self.failure.get_or_insert(format!("{what}\nlast steps:{trace}"));
    }

    /// Who goes on; `None` when all are done.
    fn next(&mut self) -> Option<usize> {
        loop {
            let able: Vec<usize> =
                (0..self.seats.len()).filter(|seat| self.is_able(*seat)).collect();
            if !able.is_empty() {
                return Some(self.dice.pick(&able));
            }
            if !self.pass_time()? {
                self.fail(&format!("nobody can go on: {:?}", self.seats));
            }
        }
    }

    fn is_able(&self, seat: usize) -> bool {
        match self.seats[seat] {
            Seat::Ready => true,
            Seat::Done => false,
            Seat::Blocked { .. } | Seat::Syncing { .. } if self.over => true,
            Seat::Syncing { until } => until <= self.now,
            Seat::Blocked { until, looked } => {
                looked < self.progress || until.is_some_and(|until| until <= self.now)
            }
        }
    }

    /// Lets time pass to the end of the first wait; `false` if none ends, `None` if nobody waits.
    fn pass_time(&mut self) -> Option<bool> {
        let waits = self.seats.iter().filter_map(|seat| match seat {
            Seat::Blocked { until, .. } => Some(*until),
            Seat::Syncing { until } => Some(Some(*until)),
            _ => None,
        });
        let waits: Vec<Option<Duration>> = waits.collect();
        if waits.is_empty() {
            return None;
        }
        let first = waits.into_iter().flatten().min();
        self.now = first.unwrap_or(self.now).max(self.now);
        Some(first.is_some())
    }
}

impl Trace {
    fn add(&mut self, seat: usize, what: &str, path: &str) {
        self.steps += 1;
        let bytes = what.bytes().chain([seat as u8]).chain(path.bytes());
        // FNV-1a.
        self.hash = bytes
            .fold(self.hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        if std::env::var_os("TRACE").is_some() {
            eprintln!("{:6} {seat} {what} {path}", self.steps);
        }
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        self.last.push_back(format!("{seat} {what} {path}"));
    }
}
