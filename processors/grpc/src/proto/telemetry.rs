//! Heartbeat, Telemetry and NotifyClientTermination.

use super::declare::{message, oneof};
use super::{ClientType, Message, Resource, Settings, Status};

message! {
    /// A client is there.
    pub struct HeartbeatRequest {
        /// The consumer's group; absent from producers.
        group: Option<Resource> = message(1, optional),
        /// What it does.
        client_type: i32 = enumeration<ClientType>(2),
    }
}

message! {
    /// The answer to [`HeartbeatRequest`].
    pub struct HeartbeatResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
    }
}

message! {
    /// A client ends.
    pub struct NotifyClientTerminationRequest {
        /// The consumer's group; absent from producers.
        group: Option<Resource> = message(1, optional),
    }
}

message! {
    /// The answer to [`NotifyClientTerminationRequest`].
    pub struct NotifyClientTerminationResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
    }
}

message! {
    /// What client and server send each other until the client ends.
    pub struct TelemetryCommand {
        /// How the command ended that this one answers.
        status: Option<Status> = message(1, optional),
    } oneof {
        /// The command.
        command: Command = "Command"("2, 3, 4, 5, 6, 7, 8, 9"),
    }
}

oneof! {
    /// A command, or the answer to one.
    pub enum Command {
        /// The client's settings, and those that it gets for them.
        Settings(Settings) = settings: message(2),
        /// From clients: what their threads do.
        ThreadStackTrace(ThreadStackTrace) = thread_stack_trace: message(3),
        /// From clients: what became of a message to verify.
        VerifyMessageResult(VerifyMessageResult) = verify_message_result: message(4),
        /// To producers: what becomes of a transaction?
        RecoverOrphanedTransaction(RecoverOrphanedTransactionCommand) =
            recover_orphaned_transaction_command: message(5),
        /// To clients: what do your threads do?
        PrintThreadStackTrace(PrintThreadStackTraceCommand) =
            print_thread_stack_trace_command: message(6),
        /// To consumers: consume this message.
        VerifyMessage(VerifyMessageCommand) = verify_message_command: message(7),
        /// To clients: connect again.
        ReconnectEndpoints(ReconnectEndpointsCommand) = reconnect_endpoints_command: message(8),
        /// To consumers: a lite topic does not exist any more.
        NotifyUnsubscribeLite(NotifyUnsubscribeLiteCommand) =
            notify_unsubscribe_lite_command: message(9),
    }
}

message! {
    /// What a client's threads do.
    pub struct ThreadStackTrace {
        /// That of the question.
        nonce: String = string(1),
        /// The stacks.
        thread_stack_trace: Option<String> = string(2, optional),
    }
}

message! {
    /// A message to verify was consumed, or not: see the command's status.
    pub struct VerifyMessageResult {
        /// That of the question.
        nonce: String = string(1),
    }
}

message! {
    /// Asks what becomes of a transaction. The answer is an EndTransaction.
    pub struct RecoverOrphanedTransactionCommand {
        /// The transactional message.
        message: Option<Message> = message(1, optional),
        /// What EndTransaction takes.
        transaction_id: String = string(2),
    }
}

message! {
    /// Asks what a client's threads do.
    pub struct PrintThreadStackTraceCommand {
        /// What the answer repeats.
        nonce: String = string(1),
    }
}

message! {
    /// Makes a consumer consume a message.
    pub struct VerifyMessageCommand {
        /// What the answer repeats.
        nonce: String = string(1),
        /// The message.
        message: Option<Message> = message(2, optional),
    }
}

message! {
    /// Makes a client connect again.
    pub struct ReconnectEndpointsCommand {
        /// What an answer would repeat.
        nonce: String = string(1),
    }
}

message! {
    /// A lite topic does not exist any more.
    pub struct NotifyUnsubscribeLiteCommand {
        /// The lite topic.
        lite_topic: String = string(1),
    }
}
