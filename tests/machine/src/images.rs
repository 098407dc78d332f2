//! What a disk may hold after a crash: all that was flushed, and of the rest anything.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::device::{BLOCK, Blocks, Op};

const SECTOR: usize = 512;

/// A generator of numbers that a seed repeats.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides.max(1)
    }
}

/// What becomes of writes that were not flushed.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    None,
    All,
    Some,
    /// Some, and of those some in part.
    Torn,
}

pub const FATES: [Fate; 4] = [Fate::None, Fate::All, Fate::Some, Fate::Torn];

/// The disk, moved on from crash to crash.
pub struct Disk<'a> {
    ops: &'a [Op],
    durable: Blocks,
    /// How much of `ops` is in it.
    flushed: usize,
}

impl<'a> Disk<'a> {
    pub fn new(ops: &'a [Op]) -> Self {
        Self { ops, durable: Blocks::default(), flushed: 0 }
    }

    /// Moves on to a crash before operation `end`.
    pub fn advance(&mut self, end: usize) {
        let last = self.ops[self.flushed..end].iter().rposition(|op| matches!(op, Op::Flush));
        let Some(last) = last else { return };
        let next = self.flushed + last + 1;
        for op in &self.ops[self.flushed..next] {
            if let Op::Write { at, bytes } = op {
                self.durable.write(*at, bytes);
            }
        }
        self.flushed = next;
    }

    /// What a crash before operation `end` leaves, and how many writes it had a choice of.
    pub fn crash(&self, end: usize, fate: Fate, dice: &mut Dice) -> (Blocks, usize) {
        let (mut blocks, mut pending) = (self.durable.clone(), 0);
        for op in &self.ops[self.flushed..end] {
            let Op::Write { at, bytes } = op else { continue };
            pending += 1;
            match fate {
                Fate::None => {}
                Fate::All => blocks.write(*at, bytes),
                Fate::Some | Fate::Torn if dice.roll(2) == 0 => {}
                Fate::Torn if dice.roll(2) == 0 => {
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        if dice.roll(2) == 0 {
                            blocks.write(at + (number * SECTOR) as u64, sector);
                        }
                    }
                }
                Fate::Some | Fate::Torn => blocks.write(*at, bytes),
            }
        }
        (blocks, pending)
    }
}

/// Writes an image of that size.
pub fn save(blocks: &Blocks, size: u64, path: &Path) -> io::Result<()> {
    let file = File::create(path)?;
    file.set_len(size)?;
    for (number, block) in &blocks.0 {
        file.write_all_at(&block[..], number * BLOCK as u64)?;
    }
    Ok(())
}
