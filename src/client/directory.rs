//! One engine per directory and process, whatever the number of clients.

use std::path::Path;
use std::sync::{Arc, Weak};

use crate::client::registry::{self, Open};
use crate::client::tender;
use crate::engine::{Engine, OpenOptions};
use crate::env::Env;
use crate::error::{At, Result};

/// Opens a directory, or gives the engine that has it open in this process. One that is open
/// read-only is not shared with one for writing.
pub fn open(dir: &Path, options: OpenOptions) -> Result<Arc<Engine>> {
    let read_only = options.read_only;
    let mut registry = registry::lock();
    registry.engines.retain(|open| open.engine.strong_count() > 0);
    // By its name: a directory reached by two links is open twice, as if by two processes.
    let dir = std::path::absolute(dir).at("resolve", dir)?;
    if let Some(engine) = registry.engine(&dir, read_only) {
        return Ok(engine);
    }
    let engine = Engine::open(&dir, options, Env::system())?;
    registry.engines.push(Open { dir, read_only, engine: Arc::downgrade(&engine) });
    if !read_only {
        tender::start(&engine);
    }
    Ok(engine)
}

/// Closes every engine of this process, for its end. Clients that are still there get errors.
pub fn close_all() {
    let engines: Vec<_> = registry::lock().engines.drain(..).collect();
    for engine in engines.iter().map(|open| &open.engine).filter_map(Weak::upgrade) {
        if let Err(error) = engine.close() {
            log::warn!("closing {}: {error}", engine.dir().display());
        }
    }
}
