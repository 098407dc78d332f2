//! Settings that are kept and described, and not obeyed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::topic;

const LZ4_LEVEL: &str = "compression.lz4.level";

/// Warns of a level of LZ4 that is not the default, once a process: there is one level here.
pub(crate) fn warn(given: &BTreeMap<String, String>) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let default = topic::SETTINGS.iter().find(|setting| setting.name == LZ4_LEVEL);
    let default = default.and_then(|setting| setting.default);
    if let Some(level) = given.get(LZ4_LEVEL).filter(|level| Some(level.as_str()) != default)
        && !TOLD.swap(true, Ordering::Relaxed)
    {
        log::warn!("{LZ4_LEVEL}={level} is kept and not obeyed: LZ4 has one level here");
    }
}
