//! Calls of the system that fail, as a seed decides.

use std::io::ErrorKind;

use brokerless::env::mem::{Call, MemDisk, Repeat};

use crate::dice::Dice;

/// Which calls fail in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faults {
    None,
    /// Of some processes one call, once.
    Single,
    /// Of some processes each call of a kind, or all, from one on.
    Lasting,
}

/// Kinds that fail; `None` for any.
const CALLS: [Option<Call>; 13] = [
    None,
    None,
    Some(Call::Open),
    Some(Call::Rename),
    Some(Call::Remove),
    Some(Call::List),
    Some(Call::OpenDir),
    Some(Call::SyncDir),
    Some(Call::Acquire),
    Some(Call::Read),
    Some(Call::Write),
    Some(Call::SetLen),
    Some(Call::SyncData),
];

impl Faults {
    /// Lets calls of every second process fail.
    pub(crate) fn plan(self, disk: &MemDisk, dice: &mut Dice) {
        if self == Self::None || dice.below(2) == 0 {
            return;
        }
        let call = dice.pick(&CALLS);
        let n = 1 + dice.below(if call.is_none() { 400 } else { 30 }) as u64;
        let error = dice.pick(&[ErrorKind::StorageFull, ErrorKind::Other]);
        let repeat = if self == Self::Single { Repeat::Once } else { Repeat::Forever };
        match call {
            Some(call) => disk.fail_call(call, n, error, repeat),
            None => disk.fail(n, error, repeat),
        }
    }
}
