//! Where something went wrong: added to what is known of it.

use std::io;
use std::path::Path;

use super::{Corruption, Error, Result};

/// Adds to an error what was tried, and where.
pub trait At<T> {
    /// Turns the error into [`Error::Io`] or [`Error::CorruptRecord`].
    fn at(self, op: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, op: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { op, path: path.to_owned(), source })
    }
}

/// The operation of a failed [`Error::Io`] after which it is not known what the disk holds.
pub(crate) const SYNC: &str = "sync";

/// Adds to a fact about bytes where they lie.
pub trait AtPosition<T> {
    /// Turns the fact into [`Error::CorruptRecord`].
    fn at_position(self, path: &Path, position: u64) -> Result<T>;
}

impl<T> AtPosition<T> for Result<T, Corruption> {
    fn at_position(self, path: &Path, position: u64) -> Result<T> {
        self.map_err(|what| Error::CorruptRecord { path: path.to_owned(), position, what })
    }
}
