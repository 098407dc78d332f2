//! One simulation: a machine that starts, works and ends several times.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use brokerless::env::mem::MemDisk;
use brokerless::env::random;

use crate::actor::{Actor, Ended, Look};
use crate::dice::Dice;
use crate::faults::Faults;
use crate::model::{Counts, Event, Model, Wrong};
use crate::program::{Mixture, Program, configure, make_topics, open};
use crate::scheduler::{Plan, Scheduler, Trace};
use crate::verdict::check;

/// How often which calls fail.
const FAULTS: [Faults; 4] = [Faults::None, Faults::None, Faults::Single, Faults::Lasting];

/// The same where they would keep others from their work.
const RARE_FAULTS: [Faults; 5] =
    [Faults::None, Faults::None, Faults::None, Faults::None, Faults::Single];

/// How much is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) mixture: Mixture,
    /// Starts of the machine.
    pub(crate) phases: usize,
    /// Steps of a phase, at most.
    pub(crate) steps: usize,
    /// Of ten thousand steps, those at which it is looked what a power loss would leave.
    pub(crate) looks: usize,
    /// Power losses at each of them.
    pub(crate) losses: u64,
}

/// What was simulated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) trace: Trace,
    /// Power losses.
    pub(crate) crashes: u64,
    pub(crate) kills: u64,
    /// Acknowledged records that were looked for after a power loss, each time.
    pub(crate) records: u64,
    pub(crate) counts: Counts,
}

/// Simulates what the seed says. An error tells what was wrong, and with which seed.
pub(crate) fn simulate(seed: u64, settings: Settings) -> Result<Outcome, Wrong> {
    let mut simulation = Simulation::new(seed, settings);
    let run = (0..settings.phases).try_for_each(|_| simulation.phase());
    run.map_err(|wrong| format!("SEED={seed}: {wrong}"))?;
    let counts = simulation.model().counts;
    Ok(Outcome {
        trace: simulation.trace,
        crashes: simulation.crashes.load(Ordering::Relaxed),
        kills: simulation.kills.into_inner(),
        records: simulation.records.load(Ordering::Relaxed),
        counts,
    })
}

struct Simulation {
    settings: Settings,
    dice: Dice,
    cooperative: bool,
    disk: MemDisk,
    model: Arc<Mutex<Model>>,
    now: Duration,
    trace: Trace,
    lives: AtomicUsize,
    crashes: Arc<AtomicU64>,
    records: Arc<AtomicU64>,
    kills: AtomicU64,
}

impl Simulation {
    fn new(seed: u64, settings: Settings) -> Self {
        let disk = MemDisk::new();
        configure(&disk, settings.mixture);
        let mut model = Model::default();
        random::with_seed(seed, || {
            let engine = open(disk.env()).expect("an empty disk");
            make_topics(&engine, settings.mixture, &mut model);
        });
        Self {
            settings,
            dice: Dice::new(seed),
            cooperative: seed.is_multiple_of(2),
            disk,
            model: Arc::new(Mutex::new(model)),
            now: Duration::ZERO,
            trace: Trace::default(),
            lives: AtomicUsize::new(0),
            crashes: Arc::default(),
            records: Arc::default(),
            kills: AtomicU64::new(0),
        }
    }

    fn model(&self) -> std::sync::MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From a start of the machine to its end, or that of all processes.
    fn phase(&mut self) -> Result<(), Wrong> {
        let plan = self.plan();
        let poisoned = self.work(plan)?;
        let crashes = plan.dies && self.dice.below(3) > 0;
        // Then only the disk counts, and what is shown next is on it. Where a sync failed that
        // says nothing of the records, all that was written is there, and nobody has synced it.
        let event = if crashes || poisoned { Event::Machine } else { Event::Processes };
        self.disk = if crashes {
            self.disk.after_crash(self.dice.below(64) as u64)
        } else {
            self.disk.copy()
        };
        self.crashes.fetch_add(u64::from(crashes), Ordering::Relaxed);
        let dies = self.dice.below(2) == 0;
        let seed = self.dice.roll();
        let found = random::with_seed(seed, || check(&self.disk, &self.model(), event, dies))?;
        self.model().accept_all(event, &found);
        self.disk = self.disk.copy();
        Ok(())
    }

    fn plan(&mut self) -> Plan {
        let kills = self.dice.pick(&[0, 5, 20, 100]);
        let kills_in_change = match self.settings.mixture {
            Mixture::All | Mixture::Group | Mixture::Cleaning => 5 * kills,
            Mixture::Logs => self.dice.pick(&[0, 500, 1_000]),
        };
        Plan {
            steps: 50 + self.dice.below(self.settings.steps) as u64,
            dies: self.dice.below(4) > 0,
            kills,
            kills_in_change,
            stays: self.dice.pick(&[5_000, 9_000, 9_500, 9_900, 9_900]),
            looks: self.settings.looks,
            faults: match self.settings.mixture {
                Mixture::Logs | Mixture::Group => Faults::None,
                Mixture::All => self.dice.pick(&FAULTS),
                Mixture::Cleaning => self.dice.pick(&RARE_FAULTS),
            },
        }
    }

    /// Lets the processes work; tells whether they have poisoned the directory.
    fn work(&mut self, plan: Plan) -> Result<bool, Wrong> {
        let processes = 1 + self.dice.below(4);
        let trace = std::mem::take(&mut self.trace);
        let scheduler =
            Arc::new(Scheduler::new(self.dice.split(), plan, processes, self.now, trace));
        let dice: Vec<Dice> = (0..processes).map(|_| self.dice.split()).collect();
        let look = self.look();
        thread::scope(|scope| {
            for (seat, dice) in dice.into_iter().enumerate() {
                let (scheduler, look, this) = (&scheduler, &look, &*self);
                scope.spawn(move || {
                    scheduler.begin(seat);
                    this.live(scheduler, look, plan, seat, dice);
                    scheduler.finish(seat);
                });
            }
        });
        let (trace, failure, now) = scheduler.outcome();
        (self.trace, self.now) = (trace, now);
        failure.map_or(Ok(scheduler.is_poisoned()), Err)
    }

    /// The lives of one process, one after the other.
    fn live(
        &self,
        scheduler: &Arc<Scheduler>,
        look: &Arc<Look>,
        plan: Plan,
        seat: usize,
        mut dice: Dice,
    ) {
        loop {
            let actor = Actor::new(scheduler.clone(), seat, self.disk.process(), look.clone());
            let life = self.lives.fetch_add(1, Ordering::Relaxed);
            let mut dice = dice.split();
            let (model, disk, cooperative) = (&*self.model, actor.disk().clone(), self.cooperative);
            let (faults, mixture) = (plan.faults, self.settings.mixture);
            faults.plan(&disk, &mut dice);
            let seed = dice.roll();
            let ended = actor.run(|env| {
                let program = Program {
                    env,
                    disk,
                    faults,
                    mixture,
                    cooperative,
                    model,
                    scheduler,
                    dice,
                    seat,
                    life,
                };
                random::with_seed(seed, || program.run());
            });
            self.model().end_of(life);
            match ended {
                Ended::Failed(what) => scheduler.fail(&what),
                Ended::Killed if !scheduler.is_ending() => {
                    self.kills.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
            if scheduler.is_ending() || scheduler.is_poisoned() {
                return;
            }
        }
    }

    /// What is done at some steps: the machine loses power, in many ways.
    fn look(&self) -> Arc<Look> {
        let (model, losses) = (self.model.clone(), self.settings.losses);
        let (crashes, records) = (self.crashes.clone(), self.records.clone());
        Arc::new(move |disk| {
            let model = model.lock().unwrap_or_else(PoisonError::into_inner);
            records.fetch_add(model.acknowledged() * losses, Ordering::Relaxed);
            for loss in 0..losses {
                let seed = crashes.fetch_add(1, Ordering::Relaxed);
                let seed = if loss < 2 { loss } else { seed };
                if let Err(wrong) = check_loss(disk, &model, seed) {
                    panic!("power loss {seed}: {wrong}");
                }
            }
        })
    }
}

/// What one power loss leaves must be in order: also when power is lost again, then or meanwhile.
fn check_loss(disk: &MemDisk, model: &Model, seed: u64) -> Result<(), Wrong> {
    let mut dice = Dice::new(seed);
    let after = disk.after_crash(seed);
    let interrupted: Arc<Mutex<Option<MemDisk>>> = Arc::default();
    let opening = if dice.below(4) == 0 {
        after.clone().with_hook(loses_power_again(&after, &interrupted, &mut dice))
    } else {
        after.clone()
    };
    let found = check(&opening, model, Event::Machine, true)?;
    let interrupted = interrupted.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(interrupted) = interrupted {
        check(&interrupted, model, Event::Machine, true)
            .map_err(|wrong| format!("and another one during recovery: {wrong}"))?;
    }
    if dice.below(4) == 0 {
        let again = check(&after.after_crash(dice.roll()), model, Event::Machine, true)
            .map_err(|wrong| format!("and another one after recovery: {wrong}"))?;
        for (place, log) in &found.logs {
            let same = again.logs.get(place);
            if !same.is_some_and(|same| same.records == log.records && same.end == log.end) {
                return Err(format!("{place} was recovered to {log:?}, and then to {same:?}"));
            }
        }
    }
    Ok(())
}

/// Notes what a power loss at some call would leave.
fn loses_power_again(
    disk: &MemDisk,
    left: &Arc<Mutex<Option<MemDisk>>>,
    dice: &mut Dice,
) -> brokerless::env::mem::Hook {
    let (calls, seed) = (AtomicU64::new(dice.below(250) as u64), dice.roll());
    let (disk, left) = (disk.clone(), left.clone());
    Arc::new(move |_| {
        if calls.fetch_sub(1, Ordering::Relaxed) == 0 {
            let crashed = disk.after_crash(seed);
            *left.lock().unwrap_or_else(PoisonError::into_inner) = Some(crashed);
        }
    })
}
