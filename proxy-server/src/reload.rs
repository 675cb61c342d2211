//! What can be changed while the proxy runs.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{info, warn};

use crate::args::Args;
use crate::config::{Config, check_filter};

/// Sets the filter of the log.
type Setter = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// The filter of the log, which can be read and replaced while Remora runs.
#[derive(Clone)]
pub struct LogFilter(Arc<Shared>);

struct Shared {
    set: Box<Setter>,
    now: Mutex<String>,
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogFilter").field(&self.now()).finish()
    }
}

impl LogFilter {
    /// A filter that is `now` and is set by `set`, which returns the reason of a failure.
    #[must_use]
    pub fn new(
        now: &str,
        set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            set: Box::new(set),
            now: Mutex::new(now.to_owned()),
        }))
    }

    /// The filter in effect, as directives of tracing-subscriber.
    #[must_use]
    pub fn now(&self) -> String {
        self.0.now.lock().clone()
    }

    /// Sets the filter.
    ///
    /// # Errors
    /// When it is none, with what is wrong.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        check_filter(filter)?;
        (self.0.set)(filter)?;
        filter.clone_into(&mut self.0.now.lock());
        Ok(())
    }
}

/// The configuration, as it is read again on SIGHUP.
#[derive(Debug)]
pub(crate) struct Reloader {
    args: Args,
    now: Config,
}

impl Reloader {
    pub(crate) fn new(args: Args, now: Config) -> Self {
        Self { args, now }
    }

    /// Reads the file again. Logs every key that waits for a restart, each time. A file with an
    /// error changes nothing.
    pub(crate) fn reload(&mut self) -> Option<&Config> {
        let reloaded = match self.now.reload(&self.args) {
            Ok(reloaded) => reloaded,
            Err(error) => {
                warn!(%error, "the configuration stays as it is");
                return None;
            }
        };
        for key in &reloaded.waiting {
            warn!(key, "changed in the file; restart to apply");
        }
        info!(
            changed = reloaded.changed.join(", "),
            waiting = reloaded.waiting.join(", "),
            "configuration reloaded: log, drain and connection timeouts apply now, other keys to new connections"
        );
        self.now = reloaded.config;
        Some(&self.now)
    }
}
