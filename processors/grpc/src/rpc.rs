//! The calls of the service.

use crate::proto::SERVICE;

macro_rules! rpcs {
    ($($(#[$doc:meta])* $rpc:ident,)*) => {
        /// A call of the service.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Rpc {
            $($(#[$doc])* $rpc,)*
        }

        impl Rpc {
            /// All calls; `rpc as usize` is the index of each.
            pub const ALL: &'static [Self] = &[$(Self::$rpc),*];

            /// Its name, as paths and metrics have it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$rpc => stringify!($rpc),)*
                }
            }
        }
    };
}

rpcs! {
    /// Acknowledges popped messages, each by its receipt handle.
    AckMessage,
    /// Sets again for how long a message is invisible.
    ChangeInvisibleDuration,
    /// Commits a transaction or rolls it back.
    EndTransaction,
    /// Moves a popped message to the dead letters of its group.
    ForwardMessageToDeadLetterQueue,
    /// The offset up to which a group has consumed a queue.
    GetOffset,
    /// The client is alive: its groups stay registered at the brokers.
    Heartbeat,
    /// Unregisters the client: it is about to disconnect.
    NotifyClientTermination,
    /// Reads a queue's messages from an offset on, without popping them.
    PullMessage,
    /// What a push consumer receives from.
    QueryAssignment,
    /// The offset of a place in a queue.
    QueryOffset,
    /// The queues of a topic, each with the address at which it can be reached.
    QueryRoute,
    /// Recalls a delayed message, by the handle that the answer to its send had.
    RecallMessage,
    /// Pops messages, which stay invisible to other consumers of the group for a time.
    ReceiveMessage,
    /// Stores one message, or several.
    SendMessage,
    /// Which lite topics a consumer wants.
    SyncLiteSubscription,
    /// Settings, and commands in both directions.
    Telemetry,
    /// Stores the offset up to which a group has consumed a queue.
    UpdateOffset,
}

impl Rpc {
    /// The call of a request's path.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let (service, name) = path.strip_prefix('/')?.split_once('/')?;
        let mut all = Self::ALL.iter();
        let rpc = all.find(|rpc| rpc.name() == name)?;
        (service == SERVICE).then_some(*rpc)
    }

    /// Whether it waits for something to happen, so that its time says nothing.
    #[must_use]
    pub fn waits(self) -> bool {
        matches!(
            self,
            Self::PullMessage | Self::ReceiveMessage | Self::Telemetry
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_its_path() {
        for rpc in Rpc::ALL {
            let path = format!("/{SERVICE}/{}", rpc.name());
            assert_eq!(Rpc::of_path(&path), Some(*rpc));
        }
        for path in [
            "",
            "/",
            "/x/SendMessage",
            "/apache.rocketmq.v2.MessagingService/Send",
            "SendMessage",
        ] {
            assert_eq!(Rpc::of_path(path), None);
        }
    }
}
