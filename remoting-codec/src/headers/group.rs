//! GET_CONSUMER_LIST_BY_GROUP (38) and UNREGISTER_CLIENT (35).

use super::{Text, header};

header! {
    /// Asks for the members of a group: GET_CONSUMER_LIST_BY_GROUP
    /// (`GetConsumerListByGroupRequestHeader`), answered in the body. GET_CONSUMER_RUNNING_INFO
    /// (307) and CONSUME_MESSAGE_DIRECTLY (309) name their group likewise.
    pub struct GetConsumerListByGroupRequest<'a> {
        /// The group whose members are returned.
        group: Text<'a> = "consumerGroup",
    }
}

header! {
    /// Unregisters a client, or one of its groups: UNREGISTER_CLIENT
    /// (`UnregisterClientRequestHeader`). The answer has no fields.
    pub struct UnregisterClientRequest<'a> {
        /// The client's id. Declared as required, but brokers identify the client by its
        /// connection.
        client_id: Option<Text<'a>> = "clientID",
        /// A producer group to unregister. C++ sends an empty text for none, which counts as none.
        producer_group: Option<Text<'a>> = "producerGroup",
        /// A consumer group to unregister. An empty text counts as none.
        consumer_group: Option<Text<'a>> = "consumerGroup",
    }
}
