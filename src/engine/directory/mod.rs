//! A directory as a whole: who came first, who it is, what is missing in it.

mod identity;
pub(crate) mod losses;
pub(crate) mod root;
