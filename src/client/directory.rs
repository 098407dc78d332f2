//! One engine per directory and process, whatever the number of clients.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

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
    registry.engines.retain(|open| !open.is_gone());
    // By its name: a directory reached by two links is open twice, as if by two processes.
    let dir = std::path::absolute(dir).at("resolve", dir)?;
    if let Some(engine) = registry.engine(&dir, read_only) {
        return Ok(engine);
    }
    let engine = Engine::open(&dir, options, Env::system())?;
    registry.engines.push(Open {
        dir,
        read_only,
        engine: Arc::downgrade(&engine),
        tended: engine.tended(),
    });
    if !read_only {
        tender::start(&engine);
    }
    Ok(engine)
}

/// How long the end of the process waits for who is closing a directory in another thread.
const PATIENCE: Duration = Duration::from_secs(5);

/// Closes every engine of this process, for its end, and waits for those that other threads are
/// closing. Clients that are still there get errors.
pub fn close_all() {
    let engines: Vec<_> = registry::lock().engines.drain(..).collect();
    for engine in engines.iter().map(|open| &open.engine).filter_map(Weak::upgrade) {
        if let Err(error) = engine.close() {
            log::warn!("closing {}: {error}", engine.dir().display());
        }
    }
    let clock = Env::system().clock;
    let until = clock.monotonic().saturating_add(PATIENCE);
    let is_closing = |open: &Open| open.engine.strong_count() == 0 && !open.is_gone();
    while engines.iter().any(is_closing) && clock.monotonic() < until {
        clock.pause(Duration::from_millis(1));
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::env::point;

    #[test]
    fn the_end_of_the_process_waits_for_a_directory_that_another_thread_is_closing() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        let engine = open(&dir, OpenOptions::default()).unwrap();
        let (began, has_begun) = mpsc::channel();
        let closing = thread::spawn(move || {
            let hook = move |name| {
                if name == "close.last" {
                    began.send(()).unwrap();
                    thread::sleep(Duration::from_millis(200));
                }
            };
            point::with_hook(hook, || drop(engine));
        });
        has_begun.recv().unwrap();

        close_all();

        assert!(dir.join(".kafka_cleanshutdown").exists());
        closing.join().unwrap();
    }
}
