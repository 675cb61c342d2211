//! Whether a group has classic members: consumers of the remoting protocol that divide its queues.
//!
//! A broker lists the members of a group, but not how they consume. So each is asked about itself,
//! by way of the broker: Remora answers for its own clients with a mark, and a member that pops has
//! its queues in another table than one that pulls.

use remoting_codec::body::ConnectionList;
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, UpstreamView};
use route_cache::rate::{LogThrottle, shown};
use route_cache::{Broker, Class, Connection};

use super::TIME;
use crate::asker::PROTOCOL_PROPERTY;
use crate::error::MessagingError;

/// Most members that are asked.
const ASKED_MAX: usize = 32;

/// Groups that are warned of: there may be many.
static MIXED: LogThrottle = LogThrottle::per_second(10);

/// The members of a group, as far as they matter to others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Members {
    /// The id of a classic member, if there is one.
    pub classic: Option<String>,
    /// Whether this is known of all that answer. A member that has just joined does not know yet
    /// how it will consume.
    pub is_settled: bool,
}

impl Members {
    /// Asks a broker for the group's members, and some of them how they consume. A group that the
    /// broker does not know has none.
    pub(super) async fn ask(broker: &Broker, group: &str) -> Result<Self, MessagingError> {
        let connection = broker.connection(Class::Request, true)?;
        let code = RequestCode::GET_CONSUMER_CONNECTION_LIST;
        let request = RemotingCommand::request(code);
        let request = request.with_field("consumerGroup", group.to_owned());
        let answer = connection.call(request.to_bytes(), TIME).await?;
        let view = UpstreamView::decode_answer(&answer)?;
        let list = match view.is_success() {
            true => ConnectionList::decode(view.body()).unwrap_or_default(),
            false => ConnectionList::default(),
        };
        // One after the other: a broker waits ten seconds for a member's answer, with one of the
        // threads that answer other questions, too. So one that does not answer is the last.
        let mut members = Self {
            classic: None,
            is_settled: true,
        };
        for id in list.client_ids().take(ASKED_MAX) {
            match ask_member(&connection, group, id).await {
                Some(Consumes::Otherwise) => {}
                Some(Consumes::NotYet) => members.is_settled = false,
                Some(Consumes::Queues) => {
                    warn(group, id);
                    members.classic = Some(id.to_owned());
                    return Ok(members);
                }
                None => break,
            }
        }
        Ok(members)
    }
}

fn warn(group: &str, client_id: &str) {
    if let Some(not_logged) = MIXED.pass() {
        tracing::warn!(
            group = shown(group),
            client_id = shown(client_id),
            not_logged,
            "the group has consumers of the remoting protocol beside others: they get messages \
             twice; see \"Mixed groups\" in docs/grpc.md"
        );
    }
}

/// How a member consumes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Consumes {
    /// It has queues of its own.
    Queues,
    /// It pops, by gRPC or not.
    Otherwise,
    /// It has nothing yet.
    NotYet,
}

/// Asks a member how it consumes; `None` if it does not answer.
async fn ask_member(connection: &Connection, group: &str, client_id: &str) -> Option<Consumes> {
    let code = RequestCode::GET_CONSUMER_RUNNING_INFO;
    let request = RemotingCommand::request(code)
        .with_field("consumerGroup", group.to_owned())
        .with_field("clientId", client_id.to_owned())
        .with_field("jstackEnable", "false");
    let answer = connection.call(request.to_bytes(), TIME).await.ok()?;
    let view = UpstreamView::decode_answer(&answer).ok()?;
    match view.response_code() {
        ResponseCode::SUCCESS => Some(consumes(view.body())),
        // The member itself has refused: no client of Remora's does.
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED => Some(Consumes::Queues),
        _ => Some(Consumes::Otherwise),
    }
}

/// How a member consumes that has answered that (`ConsumerRunningInfo`). It is not always JSON:
/// Java writes queues as keys.
fn consumes(info: &[u8]) -> Consumes {
    let has = |text: &str| info.windows(text.len()).any(|part| part == text.as_bytes());
    let has_some = |table: &str| {
        let begin = format!("\"{table}\":{{");
        has(&begin) && !has(&format!("{begin}}}"))
    };
    if has(PROTOCOL_PROPERTY) || has_some("mqPopTable") {
        Consumes::Otherwise
    } else if has_some("mqTable") {
        Consumes::Queues
    } else {
        Consumes::NotYet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_members_are_told_by_what_they_answer() {
        let queue = r#"{{"brokerName":"a","queueId":0,"topic":"t"}:{"locked":false}}"#;
        for (info, expected) in [
            (
                format!(r#"{{"mqTable":{queue},"properties":{{}}}}"#),
                Consumes::Queues,
            ),
            (
                r#"{"mqPopTable":{},"mqTable":{}}"#.to_owned(),
                Consumes::NotYet,
            ),
            (
                format!(r#"{{"mqPopTable":{queue},"mqTable":{{}}}}"#),
                Consumes::Otherwise,
            ),
            (
                r#"{"mqPopTable":{},"properties":{"PROP_CLIENT_PROTOCOL":"grpc"}}"#.to_owned(),
                Consumes::Otherwise,
            ),
        ] {
            assert_eq!(consumes(info.as_bytes()), expected, "{info}");
        }
    }
}
