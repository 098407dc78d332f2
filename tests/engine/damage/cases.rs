//! What can happen to the bytes of a file.

use brokerless::record::BatchInfo;

use super::Dice;

/// One damage to one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    Flip {
        at: usize,
        bit: u8,
    },
    Cut {
        at: usize,
    },
    /// A block of zeros.
    Zeros {
        at: usize,
        len: usize,
    },
    /// A block takes the place of another.
    Copied {
        at: usize,
        len: usize,
        from: usize,
    },
    /// Two blocks change places.
    Swapped {
        at: usize,
        len: usize,
        with: usize,
    },
    /// Its end twice.
    Repeated {
        at: usize,
    },
    /// Bytes that a seed decides.
    Noise {
        at: usize,
        len: usize,
        seed: u64,
    },
}

const BLOCKS: [usize; 2] = [512, 4096];

impl Damage {
    /// Every damage of a file: each bit of each header of a batch and of a small file, a bit of each
    /// other byte, a cut at each byte, and each block.
    pub(super) fn all(bytes: &[u8], is_log: bool) -> Vec<Self> {
        let mut all: Vec<_> = (0..bytes.len()).map(|at| Self::Cut { at }).collect();
        let headers = headers(bytes);
        for at in 0..bytes.len() {
            let whole = if is_log { headers.contains(&at) } else { bytes.len() <= 4096 };
            let bits = if whole { 0..8 } else { (at % 8) as u8..(at % 8) as u8 + 1 };
            all.extend(bits.map(|bit| Self::Flip { at, bit }));
        }
        for len in BLOCKS {
            let starts: Vec<_> = (0..bytes.len()).step_by(len).collect();
            for &at in &starts {
                all.push(Self::Zeros { at, len });
                for &from in &starts {
                    all.push(Self::Copied { at, len, from });
                    all.push(Self::Swapped { at, len, with: from });
                }
            }
        }
        all
    }

    /// One of them, or noise.
    pub(super) fn any(dice: &mut Dice, bytes: &[u8], is_log: bool) -> Self {
        let at = dice.below(bytes.len());
        let len = BLOCKS[dice.below(2)];
        let block = |dice: &mut Dice| dice.below(bytes.len().div_ceil(len)) * len;
        let headers = headers(bytes);
        match dice.below(9) {
            0 => Self::Cut { at },
            1 => Self::Zeros { at: block(dice), len },
            2 => Self::Copied { at: block(dice), len, from: block(dice) },
            3 => Self::Swapped { at: block(dice), len, with: block(dice) },
            4 => Self::Repeated { at },
            5 => Self::Noise { at, len: dice.below(64), seed: dice.below(1 << 30) as u64 },
            6 if is_log && !headers.is_empty() => {
                Self::Flip { at: headers[dice.below(headers.len())], bit: dice.below(8) as u8 }
            }
            _ => Self::Flip { at, bit: dice.below(8) as u8 },
        }
    }

    pub(super) fn apply(self, bytes: &mut Vec<u8>) {
        let end = bytes.len();
        let block = |at: usize, len: usize| at.min(end)..(at + len).min(end);
        match self {
            Self::Flip { at, bit } => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Cut { at } => bytes.truncate(at),
            Self::Zeros { at, len } => bytes[block(at, len)].fill(0),
            Self::Copied { at, len, from } => {
                let copy = bytes[block(from, len)].to_vec();
                let to = block(at, copy.len());
                let len = to.len();
                bytes[to].copy_from_slice(&copy[..len]);
            }
            Self::Swapped { at, len, with } => {
                let (one, two) = (bytes[block(at, len)].to_vec(), bytes[block(with, len)].to_vec());
                let len = one.len().min(two.len());
                bytes[at..at + len].copy_from_slice(&two[..len]);
                bytes[with..with + len].copy_from_slice(&one[..len]);
            }
            Self::Repeated { at } => bytes.extend_from_within(at.min(end)..),
            Self::Noise { at, len, seed } => {
                let mut dice = Dice(seed);
                bytes[block(at, len)].iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
            }
        }
    }
}

/// Where the headers of the batches lie.
fn headers(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut all) = (0, Vec::new());
    while let Ok(info) = BatchInfo::parse(bytes.get(at..).unwrap_or_default()) {
        all.extend(at..(at + BatchInfo::MAX_PREFIX).min(at + info.size));
        at += info.size;
    }
    all
}
