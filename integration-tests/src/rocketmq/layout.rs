//! In what the servers of a cluster differ from the usual.

/// Servers would spend seconds of their start on a certificate that nobody asks for.
const NO_TLS: &str = "-Dtls.server.mode=disabled";

/// By default they speak TLS as well as plain text, with a certificate that they have made and signed themselves. That
/// takes a class of the Java runtime that is not for everybody.
const TLS: &str = "--add-exports=java.base/sun.security.x509=ALL-UNNAMED";

/// What servers are like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// Whether they speak TLS to whoever asks for it.
    pub speaks_tls: bool,
}

impl Layout {
    /// Flags of a server's virtual machine.
    pub(super) fn machine_flags(self) -> [&'static str; 1] {
        [if self.speaks_tls { TLS } else { NO_TLS }]
    }
}
