//! From paths to operations.

use http::Method;

use super::problem::{Problem, Word};
use crate::percent;

/// An operation, with the parts of its path. Names are as the client has written them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Sends a message.
    Send {
        /// The topic.
        topic: String,
    },
    /// Sends several messages.
    SendBatch {
        /// Their topic.
        topic: String,
    },
    /// Pulls messages.
    Pull {
        /// Their topic.
        topic: String,
        /// The consumer's group.
        group: String,
    },
    /// Settles messages that were pulled.
    Settle {
        /// Their topic.
        topic: String,
        /// The consumer's group.
        group: String,
    },
    /// Acknowledges one message.
    Acknowledge {
        /// Its topic.
        topic: String,
        /// The consumer's group.
        group: String,
        /// Its handle.
        handle: String,
    },
    /// Streams messages as server-sent events.
    Events {
        /// Their topic.
        topic: String,
        /// The consumer's group.
        group: String,
    },
    /// Commits a transaction.
    Commit {
        /// Its token.
        token: String,
    },
    /// Rolls a transaction back.
    Rollback {
        /// Its token.
        token: String,
    },
    /// Polls for transactions to decide.
    Check {
        /// The topic of their messages.
        topic: String,
    },
    /// Recalls a delayed message.
    Recall {
        /// Its recall handle.
        handle: String,
    },
    /// Sends a request and waits for its reply.
    Request {
        /// The topic.
        topic: String,
    },
    /// Replies to a request.
    Reply {
        /// The request's reply token.
        token: String,
    },
    /// Describes a topic.
    Describe {
        /// The topic.
        topic: String,
    },
    /// The description of the API.
    Document,
}

/// Most segments of a path.
const SEGMENTS_MAX: usize = 8;

impl Operation {
    /// The operation at a path, the request's target without its query. An escaped `/` is a part
    /// of a name, which no topic and no group has.
    ///
    /// # Errors
    /// [`Word::NoSuchPath`] when there is none, [`Word::Invalid`] when an escape is wrong.
    pub fn at(path: &str) -> Result<Self, Problem> {
        let segments = path.strip_prefix("/v1/").unwrap_or_default().split('/');
        let mut decoded = Vec::with_capacity(SEGMENTS_MAX);
        for segment in segments.take(SEGMENTS_MAX) {
            let Some(segment) = percent::decode(segment, false) else {
                let detail = "the path has a wrong escape: write % as %25, and other bytes as %XX \
                              of UTF-8";
                return Err(Problem::invalid(detail).of("path"));
            };
            decoded.push(segment);
        }
        let segments: Vec<&str> = decoded.iter().map(|segment| &**segment).collect();
        Self::find(&segments).ok_or_else(|| {
            let detail = "there is no such path: GET /v1/openapi.json describes those that are";
            Problem::new(Word::NoSuchPath, detail)
        })
    }

    fn find(segments: &[&str]) -> Option<Self> {
        if segments.iter().any(|segment| segment.is_empty()) {
            return None;
        }
        let name = |text: &str| text.to_owned();
        match *segments {
            ["openapi.json"] => Some(Self::Document),
            ["topics", topic] => Some(Self::Describe { topic: name(topic) }),
            ["topics", topic, what] => {
                let topic = name(topic);
                match what {
                    "messages" => Some(Self::Send { topic }),
                    "messages:batch" => Some(Self::SendBatch { topic }),
                    "transactions:check" => Some(Self::Check { topic }),
                    "requests" => Some(Self::Request { topic }),
                    _ => None,
                }
            }
            ["topics", topic, "groups", group, what] => {
                let (topic, group) = (name(topic), name(group));
                match what {
                    "messages:pull" => Some(Self::Pull { topic, group }),
                    "messages:ack" => Some(Self::Settle { topic, group }),
                    "events" => Some(Self::Events { topic, group }),
                    _ => None,
                }
            }
            ["topics", topic, "groups", group, "messages", handle] => Some(Self::Acknowledge {
                topic: name(topic),
                group: name(group),
                handle: name(handle),
            }),
            ["transactions", what] => {
                let (token, verb) = what.rsplit_once(':')?;
                let token = (!token.is_empty()).then(|| name(token))?;
                match verb {
                    "commit" => Some(Self::Commit { token }),
                    "rollback" => Some(Self::Rollback { token }),
                    _ => None,
                }
            }
            ["recalls", handle] => Some(Self::Recall {
                handle: name(handle),
            }),
            ["replies", token] => Some(Self::Reply { token: name(token) }),
            _ => None,
        }
    }

    /// Its name in metrics and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::SendBatch { .. } => "sendBatch",
            Self::Pull { .. } => "pull",
            Self::Settle { .. } => "settle",
            Self::Acknowledge { .. } => "acknowledge",
            Self::Events { .. } => "events",
            Self::Commit { .. } => "commit",
            Self::Rollback { .. } => "rollback",
            Self::Check { .. } => "check",
            Self::Recall { .. } => "recall",
            Self::Request { .. } => "request",
            Self::Reply { .. } => "reply",
            Self::Describe { .. } => "describe",
            Self::Document => "document",
        }
    }

    /// The methods that its path takes, as `Allow` names them.
    #[must_use]
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Acknowledge { .. } | Self::Recall { .. } => "DELETE, OPTIONS",
            Self::Describe { .. } | Self::Document => "GET, HEAD, OPTIONS",
            Self::Events { .. } => "GET, OPTIONS",
            _ => "POST, OPTIONS",
        }
    }

    /// Checks the method of a request that asks for it; OPTIONS is answered before.
    ///
    /// # Errors
    /// [`Word::WrongMethod`].
    pub fn check_method(&self, method: &Method) -> Result<(), Problem> {
        let mut allowed = self.allow().split(", ");
        match allowed.any(|allowed| allowed == method.as_str()) {
            true => Ok(()),
            false => {
                let detail = format!("the path takes {}", self.allow());
                Err(Problem::new(Word::WrongMethod, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn paths_have_operations() {
        let topic = || text("T");
        let group = || text("G");
        for (path, operation, method) in [
            (
                "/v1/topics/T/messages",
                Operation::Send { topic: topic() },
                Method::POST,
            ),
            (
                "/v1/topics/T/messages:batch",
                Operation::SendBatch { topic: topic() },
                Method::POST,
            ),
            (
                "/v1/topics/T/messages%3Abatch",
                Operation::SendBatch { topic: topic() },
                Method::POST,
            ),
            (
                "/v1/topics/T/groups/G/messages:pull",
                Operation::Pull {
                    topic: topic(),
                    group: group(),
                },
                Method::POST,
            ),
            (
                "/v1/topics/T/groups/G/messages:ack",
                Operation::Settle {
                    topic: topic(),
                    group: group(),
                },
                Method::POST,
            ),
            (
                "/v1/topics/T/groups/G/messages/h-1_",
                Operation::Acknowledge {
                    topic: topic(),
                    group: group(),
                    handle: text("h-1_"),
                },
                Method::DELETE,
            ),
            (
                "/v1/topics/T/groups/G/events",
                Operation::Events {
                    topic: topic(),
                    group: group(),
                },
                Method::GET,
            ),
            (
                "/v1/transactions/t:commit",
                Operation::Commit { token: text("t") },
                Method::POST,
            ),
            (
                "/v1/transactions/t:rollback",
                Operation::Rollback { token: text("t") },
                Method::POST,
            ),
            (
                "/v1/topics/T/transactions:check",
                Operation::Check { topic: topic() },
                Method::POST,
            ),
            (
                "/v1/recalls/r",
                Operation::Recall { handle: text("r") },
                Method::DELETE,
            ),
            (
                "/v1/topics/T/requests",
                Operation::Request { topic: topic() },
                Method::POST,
            ),
            (
                "/v1/replies/r",
                Operation::Reply { token: text("r") },
                Method::POST,
            ),
            (
                "/v1/topics/T",
                Operation::Describe { topic: topic() },
                Method::GET,
            ),
            ("/v1/openapi.json", Operation::Document, Method::GET),
            (
                "/v1/topics/%25RETRY%25G/messages",
                Operation::Send {
                    topic: text("%RETRY%G"),
                },
                Method::POST,
            ),
        ] {
            let found = Operation::at(path).unwrap();
            assert_eq!(found, operation, "{path}");
            assert_eq!(found.check_method(&method), Ok(()), "{path}");
            let wrong = found.check_method(&Method::PUT).unwrap_err();
            assert_eq!(wrong.word, Word::WrongMethod, "{path}");
        }
        assert_eq!(Operation::Document.check_method(&Method::HEAD), Ok(()));
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v2/topics/T",
            "/v1/topics",
            "/v1/topics/",
            "/v1/topics/T/",
            "/v1//T",
            "/v1/topics/T/messages/",
            "/v1/topics/T/messages:pull",
            "/v1/topics//messages",
            "/v1/topics/T/groups/G",
            "/v1/topics/T/groups/G/messages",
            "/v1/topics/T/groups/G/messages/",
            "/v1/topics/T/groups/G/messages/h/more",
            "/v1/transactions/:commit",
            "/v1/transactions/t",
            "/v1/transactions/t:abort",
            "/v1/topics%2FT",
            "/V1/topics/T",
        ] {
            let problem = Operation::at(path).unwrap_err();
            assert_eq!(problem.word, Word::NoSuchPath, "{path}");
        }
        let long = format!("/v1/{}", "a/".repeat(10_000));
        assert_eq!(Operation::at(&long).unwrap_err().word, Word::NoSuchPath);
        for path in ["/v1/topics/%", "/v1/topics/%zz/messages", "/v1/topics/%ff"] {
            assert_eq!(
                Operation::at(path).unwrap_err().word,
                Word::Invalid,
                "{path}"
            );
        }
    }
}
