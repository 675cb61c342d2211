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

/// Where signals come from.
pub trait Signals {
    /// The next one.
    fn next(&mut self) -> impl Future<Output = Signal>;
}
