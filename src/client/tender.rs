//! The thread that looks after the logs of a directory: retention, compaction, expiry of offsets,
//! files to be removed.
//!
//! There is one for each engine that may write, whatever its clients are, and it ends with the
//! engine. It sleeps nearly all of the time, and holds the engine only while it works; when all
//! others have let go of that, it ends its work early.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::engine::{Engine, Tended};
use crate::env::Clock;
use crate::error::Error;

/// Not before a program that does little has come to that.
const FIRST: Duration = Duration::from_millis(100);
/// How long it sleeps at least, and at most: the wall clock may have been set.
const LEAST: Duration = Duration::from_millis(10);
const MOST: Duration = Duration::from_secs(60);

/// How long who lets go of the engine waits for the thread, which ends its work at the next batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the thread. That it cannot be started is no error: another process looks after the logs.
pub(super) fn start(engine: &Arc<Engine>) {
    let (mine, tended) = (Arc::downgrade(engine), engine.tended());
    let clock = Arc::clone(&engine.env().clock);
    let thread = std::thread::Builder::new().name("brokerless-tender".into());
    if let Err(error) = thread.spawn(move || run(&mine, &tended, &*clock)) {
        log::debug!("no thread to look after {}: {error}", engine.dir().display());
    }
}

fn run(engine: &Weak<Engine>, tended: &Tended, clock: &dyn Clock) {
    let mut rest = FIRST;
    loop {
        clock.wait(&tended.ended, 0, rest);
        tended.busy.store(true, Ordering::SeqCst);
        let next = engine.upgrade().map(|engine| tend(&engine));
        tended.busy.store(false, Ordering::SeqCst);
        match next {
            Some(next) => rest = next.clamp(LEAST, MOST),
            None => return,
        }
    }
}

fn tend(engine: &Arc<Engine>) -> Duration {
    match engine.tend(engine.env().clock.now()) {
        Ok(rest) => rest,
        // It was told to hurry, and somebody may have come back to the engine since.
        Err(Error::Closed(_)) => FIRST,
        Err(Error::Forked(_)) => MOST,
        Err(error) => {
            log::warn!("looking after {}: {error}", engine.dir().display());
            MOST
        }
    }
}

/// Drops an engine. If only the thread has it then, waits until that has let go of it too.
pub(crate) fn let_go(engine: Arc<Engine>) {
    if engine.is_forked() {
        return;
    }
    let (left, tended) = (Arc::downgrade(&engine), engine.tended());
    let clock = Arc::clone(&engine.env().clock);
    drop(engine);
    let until = clock.monotonic().saturating_add(PATIENCE);
    let is_last = || tended.busy.load(Ordering::SeqCst) && left.strong_count() <= 1;
    while is_last() && clock.monotonic() < until {
        tended.hurry.store(true, Ordering::SeqCst);
        clock.pause(Duration::from_millis(1));
    }
    if left.strong_count() > 1 {
        welcome(&tended);
    }
}

/// Somebody has come back to the engine: its work has time again.
pub(super) fn welcome(tended: &Tended) {
    tended.hurry.store(false, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::engine::OpenOptions;
    use crate::env::Env;

    #[test]
    fn nobody_hurries_who_came_back_while_the_last_one_let_go() {
        let dir = tempfile::TempDir::new().unwrap();
        let open = |dir: &Path| Engine::open(dir, OpenOptions::default(), Env::system()).unwrap();
        let engine = open(dir.path());
        let tended = engine.tended();
        // As the thread has it while it works.
        let of_the_thread = Arc::clone(&engine);
        tended.busy.store(true, Ordering::SeqCst);
        let last = std::thread::spawn(|| let_go(engine));
        while !tended.hurry.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }

        let back = Arc::clone(&of_the_thread);
        last.join().unwrap();

        assert!(!tended.hurry.load(Ordering::SeqCst));
        back.create_topic("t", None, &[]).unwrap();
    }
}
