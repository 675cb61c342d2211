//! Signals, as the binary and tests send them.

/// What the operator wants of a running proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// End, and lose no request: SIGTERM.
    Drain,
    /// End now: SIGINT.
    Stop,
    /// Read the configuration again: SIGHUP.
    Reload,
}

/// The signals that end the process or make it reload. Tests send their own.
pub trait Signals {
    /// Waits for the next signal.
    fn next(&mut self) -> impl Future<Output = Signal>;
}
