//! [`Flush`]: the wait for what was sent before it began.

use std::sync::Arc;
use std::time::Duration;

use crate::client::producer::delivery::BatchState;
use crate::client::producer::round::Working;
use crate::client::producer::sender::Sender;
use crate::error::{Error, Result};

/// The batches that were unsettled when the flush began. It ends however much is sent
/// meanwhile, also when it is waited for in pieces.
///
/// While it lives, its producers send at once what would linger.
#[derive(Debug)]
pub struct Flush(Vec<Pressed>);

impl Flush {
    pub(super) fn begin(sender: &Arc<Sender>) -> Result<Self> {
        if Working::on(sender) {
            return Err(Error::IllegalState("flush in a delivery callback would wait for itself"));
        }
        Ok(Self(vec![Pressed::new(sender.clone())]))
    }

    /// Of all these, but for those in whose callback this is.
    pub(crate) fn begin_all(senders: Vec<Arc<Sender>>) -> Self {
        let others = senders.into_iter().filter(|sender| !Working::on(sender));
        Self(others.map(Pressed::new).collect())
    }

    /// Waits until all of them are settled. After [`Error::Timeout`] and [`Error::Interrupted`]
    /// it may be called again.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        let Some(first) = self.0.first() else { return Ok(()) };
        let deadline = timeout.map(|timeout| first.sender.now().saturating_add(timeout));
        for state in self.0.iter().flat_map(|pressed| &pressed.states) {
            let left = deadline.map(|deadline| deadline.saturating_sub(first.sender.now()));
            state.wait(left).map_err(|error| named(error, timeout))?;
        }
        Ok(())
    }
}

/// Names the whole time asked for.
fn named(error: Error, timeout: Option<Duration>) -> Error {
    match error {
        Error::Timeout { .. } => {
            Error::Timeout { what: "the flush", after: timeout.unwrap_or_default() }
        }
        error => error,
    }
}

/// A sender that somebody waits for, and for what.
#[derive(Debug)]
struct Pressed {
    sender: Arc<Sender>,
    states: Vec<Arc<BatchState>>,
}

impl Pressed {
    fn new(sender: Arc<Sender>) -> Self {
        sender.press();
        let states = sender.unsettled();
        Self { sender, states }
    }
}

impl Drop for Pressed {
    fn drop(&mut self) {
        self.sender.release();
    }
}
