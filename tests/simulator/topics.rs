//! Topics that come and go: of each attempt to make one, whether it may, must or must not be there.
//!
//! An attempt is known by a setting that no other has. What was true when a call began may not be
//! when it comes back; so each thing has the time at which it was said.

use std::collections::BTreeSet;

use brokerless::engine::Id;

use crate::model::{Event, Wrong, check};

/// `segment.bytes` of the first attempt: small enough that segments are rolled all the time.
const SEGMENT_BYTES: u32 = 500;

/// `retention.ms` and `retention.bytes` of topics that are kept small.
pub(crate) const KEPT_MS: i64 = 8;
pub(crate) const KEPT_BYTES: u64 = 800;

/// A point in time: the more has happened, the greater.
pub(crate) type Tick = u64;

/// What becomes of a topic's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// They stay, unless somebody deletes them.
    Keep,
    Compact,
    /// They go by their age, and by the size of the log.
    Delete,
    CompactAndDelete,
}

/// A topic, from the attempt to make it to its end.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    pub(crate) policy: Policy,
    segment_bytes: u32,
    begun: Tick,
    /// Who makes it; `None` when that is over.
    maker: Option<usize>,
    id: Option<Id>,
    /// When it was told to be there, for good.
    told: Option<Tick>,
    /// When somebody first saw it.
    seen: Option<Tick>,
    /// Deletions that may have been of it.
    dooms: u32,
    /// When it was known not to be there any more.
    gone: Option<Tick>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topics {
    lives: Vec<Life>,
    ticks: Tick,
    /// Who is deleting what.
    deletions: Vec<(usize, String)>,
}

/// A topic as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Id,
    pub(crate) segment_bytes: u32,
    pub(crate) partitions: i32,
}

/// A deletion that was begun.
pub(crate) struct Deletion {
    /// Those that were there, or could have been, and nobody was still making.
    settled: Vec<usize>,
    /// One that must be there, unless others delete it too.
    due: Option<usize>,
}

/// How a call came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// It is there already, or not there.
    Refused,
    /// Nothing has happened.
    Nothing,
    /// An error, after which it may be so or so.
    Unknown,
}

impl Topics {
    pub(crate) fn tick(&mut self) -> Tick {
        self.ticks += 1;
        self.ticks
    }

    pub(crate) fn now(&self) -> Tick {
        self.ticks
    }

    pub(crate) fn life(&self, life: usize) -> &Life {
        &self.lives[life]
    }

    /// The setting by which the attempt is known.
    pub(crate) fn segment_bytes(life: usize) -> u32 {
        SEGMENT_BYTES + life as u32
    }

    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.lives.iter().map(|life| &*life.name).collect()
    }

    fn of(&self, name: &str) -> impl Iterator<Item = (usize, &Life)> {
        self.lives.iter().enumerate().filter(move |(_, life)| life.name == name)
    }

    /// Somebody is about to make a topic.
    pub(crate) fn begin_create(
        &mut self,
        name: &str,
        partitions: i32,
        policy: Policy,
        maker: usize,
    ) -> usize {
        let dooms = self.deletions.iter().filter(|(_, deleted)| deleted == name).count() as u32;
        let begun = self.tick();
        self.lives.push(Life {
            name: name.to_owned(),
            partitions,
            policy,
            segment_bytes: Self::segment_bytes(self.lives.len()),
            begun,
            maker: Some(maker),
            id: None,
            told: None,
            seen: None,
            dooms,
            gone: None,
        });
        self.lives.len() - 1
    }

    pub(crate) fn end_create(
        &mut self,
        life: usize,
        answer: Answer,
        found: Option<&Found>,
    ) -> Result<(), Wrong> {
        let now = self.tick();
        let Life { name, begun, .. } = self.lives[life].clone();
        self.lives[life].maker = None;
        match answer {
            Answer::Done => {
                let there = self
                    .of(&name)
                    .find(|(it, other)| *it != life && other.is_sure(Event::Processes, begun));
                check!(there.is_none(), "{name} was made as {life} beside {there:?}");
                if let Some(found) = found {
                    self.see(Event::Processes, &name, found, begun)?;
                }
                self.lives[life].told.get_or_insert(now);
            }
            Answer::Refused => {
                let may = self.of(&name).any(|(it, other)| it != life && other.may_be(begun));
                check!(may, "{name} was refused as {life}, and there is none");
                self.lives[life].gone = Some(now);
            }
            Answer::Nothing => self.lives[life].gone = Some(now),
            Answer::Unknown => {}
        }
        Ok(())
    }

    /// Somebody is about to delete a topic.
    pub(crate) fn begin_delete(&mut self, name: &str, deleter: usize) -> Deletion {
        let now = self.tick();
        let due =
            self.of(name).find(|(_, life)| life.is_sure(Event::Processes, now)).map(|(it, _)| it);
        let settled = self.of(name).filter(|(_, life)| life.maker.is_none()).map(|(it, _)| it);
        let settled = settled.collect();
        for life in self.lives.iter_mut().filter(|life| life.name == name) {
            life.dooms += 1;
        }
        self.deletions.push((deleter, name.to_owned()));
        Deletion { settled, due }
    }

    pub(crate) fn end_delete(
        &mut self,
        deleter: usize,
        deletion: &Deletion,
        answer: Answer,
    ) -> Result<(), Wrong> {
        let now = self.tick();
        self.deletions.retain(|(it, _)| *it != deleter);
        match answer {
            Answer::Done => {
                for life in &deletion.settled {
                    self.lives[*life].gone.get_or_insert(now);
                }
            }
            Answer::Refused => {
                let there = deletion.due.map(|life| &self.lives[life]);
                let there = there.filter(|life| life.dooms == 1);
                check!(there.is_none(), "{there:?} was not found");
            }
            Answer::Nothing | Answer::Unknown => {}
        }
        Ok(())
    }

    /// That process ended, or died: what it was about to do is done or not.
    pub(crate) fn end_of(&mut self, process: usize) {
        for life in self.lives.iter_mut().filter(|life| life.maker == Some(process)) {
            life.maker = None;
        }
        self.deletions.retain(|(it, _)| *it != process);
    }

    /// A topic was found by a look that began then. Gives which it is.
    pub(crate) fn see(
        &mut self,
        event: Event,
        name: &str,
        found: &Found,
        began: Tick,
    ) -> Result<usize, Wrong> {
        let life = self.identify(event, name, found, began)?;
        let now = self.tick();
        self.lives[life].id = Some(found.id);
        self.lives[life].seen.get_or_insert(now);
        Ok(life)
    }

    /// Which it is, if it may be there.
    pub(crate) fn identify(
        &self,
        event: Event,
        name: &str,
        found: &Found,
        began: Tick,
    ) -> Result<usize, Wrong> {
        let by_id = self.of(name).find(|(_, life)| life.id == Some(found.id));
        let known = by_id.or_else(|| self.by_setting(event, name, found));
        let Some((number, life)) = known else {
            return Err(format!("{name}: nobody made {found:?}"));
        };
        check!(
            life.gone.is_none_or(|gone| gone >= began),
            "{name}: {found:?}, which is {number}, is no more"
        );
        let whole =
            life.partitions == found.partitions && life.segment_bytes == found.segment_bytes;
        // A folder that arrived where the list of topics did not, which nobody was promised.
        let part = event == Event::Machine && life.told.is_none();
        check!(whole || part, "{name}: {found:?} should be {life:?}");
        let other = self.of(name).find(|(it, other)| *it != number && other.is_sure(event, began));
        check!(other.is_none(), "{name}: {found:?}, which is {number}, is there beside {other:?}");
        Ok(number)
    }

    fn by_setting(&self, event: Event, name: &str, found: &Found) -> Option<(usize, &Life)> {
        let fits = |number: usize| Self::segment_bytes(number) == found.segment_bytes;
        let new = |life: &Life| life.id.is_none();
        let exact = self.of(name).find(|(number, life)| fits(*number) && new(life));
        let lost =
            || self.of(name).filter(|(_, life)| life.told.is_none() && life.gone.is_none()).last();
        exact.or_else(|| (event == Event::Machine).then(lost).flatten())
    }

    /// A look that began then found no topic of the name.
    pub(crate) fn miss(&self, event: Event, name: &str, began: Tick) -> Result<(), Wrong> {
        let due = self.of(name).find(|(_, life)| life.is_sure(event, began));
        check!(due.is_none(), "{name} is not there, which should be {due:?}");
        Ok(())
    }

    /// The life of a topic that nobody deletes.
    pub(crate) fn staying(&self, name: &str) -> Option<usize> {
        self.of(name).map(|(life, _)| life).next()
    }

    /// Whether it was there then, and is now.
    pub(crate) fn is_sure(&self, life: usize, then: Tick) -> bool {
        self.lives[life].is_sure(Event::Processes, then)
    }

    /// Whether somebody has begun to delete it, or could have.
    pub(crate) fn is_doomed(&self, life: usize) -> bool {
        self.lives[life].dooms > 0
    }

    /// The other lives of its name that may be there too, or come to be.
    pub(crate) fn later(&self, life: usize) -> Vec<usize> {
        let name = &self.lives[life].name;
        self.of(name).map(|(it, _)| it).filter(|it| *it > life).collect()
    }

    /// What was found after all have ended is what there is.
    pub(crate) fn accept(&mut self, event: Event, name: &str, found: Option<&Found>) {
        let now = self.tick();
        let there = found.and_then(|found| self.identify(event, name, found, now).ok());
        for (number, life) in self.lives.iter_mut().enumerate().filter(|(_, it)| it.name == name) {
            life.maker = None;
            match found {
                Some(found) if there == Some(number) => {
                    life.id = Some(found.id);
                    life.partitions = found.partitions;
                    life.segment_bytes = found.segment_bytes;
                    life.told = Some(now);
                    life.seen = Some(now);
                    life.dooms = 0;
                }
                _ => drop(life.gone.get_or_insert(now)),
            }
        }
        self.deletions.clear();
    }
}

impl Policy {
    pub(crate) fn compacts(self) -> bool {
        matches!(self, Self::Compact | Self::CompactAndDelete)
    }

    /// Whether the log is kept small.
    pub(crate) fn limits(self) -> bool {
        matches!(self, Self::Delete | Self::CompactAndDelete)
    }

    /// Whether a user may delete records.
    pub(crate) fn deletes(self) -> bool {
        self != Self::Compact
    }
}

impl Life {
    /// Whether it was there then for sure, and is now, if all goes well.
    /// After a power loss only if that was told.
    fn is_sure(&self, event: Event, then: Tick) -> bool {
        let there = |at: Option<Tick>| at.is_some_and(|at| at <= then);
        let seen = event == Event::Processes && there(self.seen);
        (there(self.told) || seen) && self.dooms == 0 && self.gone.is_none()
    }

    /// Whether it may have been there at or after that time.
    fn may_be(&self, then: Tick) -> bool {
        self.gone.is_none_or(|gone| gone >= then)
    }
}
