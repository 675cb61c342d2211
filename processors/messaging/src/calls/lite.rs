//! Which lite topics a client wants. Every broker of the topic keeps it, by the client's id, until
//! the client says otherwise or has not repeated it for minutes
//! (`liteSubscriptionCheckTimeoutMills`).

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use remoting_codec::body::LiteSubscription;
use remoting_codec::{RemotingCommand, RequestCode};
use route_cache::{Broker, Class, Connection};

use super::Requests;
use crate::error::{ErrorKind, MessagingError};

/// The timeout of a broker's answer (`ClientActivity.syncLiteSubscription`).
const TIME: Duration = Duration::from_secs(2);

impl Requests {
    /// Changes which lite topics the client wants, at every broker of the topic. `lane` is the
    /// client's own connection to a broker, if it has one: a broker that ends a subscription by
    /// itself says so on the connection that has brought it.
    ///
    /// A broker that cannot be reached learns it when the client repeats its subscriptions.
    ///
    /// # Errors
    /// If a broker refuses, none has answered, or the topic does not exist.
    pub async fn subscribe_lite(
        self: &Rc<Self>,
        change: &LiteSubscription<'_>,
        lane: impl Fn(&Broker) -> Option<Rc<Connection>>,
    ) -> Result<(), MessagingError> {
        let code = RequestCode::LITE_SUBSCRIPTION_CTL;
        let body = Bytes::from(change.encode());
        self.admit(code, change.topic, Some(change.group), body.len())?;
        let route = self.caller.route(change.topic).await?;
        let upstream = self.caller.upstream();
        let changing = route.brokers().iter().map(async |data| {
            let broker = upstream.broker(&data.broker_name).await?;
            let connection = match lane(&broker) {
                Some(lane) => lane,
                None => self.connection(&broker, Class::Request, body.len(), true)?,
            };
            let request = RemotingCommand::request(code).with_body(body.clone());
            let answer = self.ask(&connection, request.into(), TIME, None).await?;
            answer.succeeded().map(drop)
        });
        one_of(join_all(changing).await)
    }
}

/// A refusal, if there is one; else a success, if there is one.
fn one_of(answers: Vec<Result<(), MessagingError>>) -> Result<(), MessagingError> {
    let mut ended = Err(MessagingError::new(
        ErrorKind::NoSuchTopic,
        "the topic has no broker",
    ));
    for answer in answers {
        match answer {
            Err(error) if matches!(error.kind(), ErrorKind::Refused(_)) => return Err(error),
            Err(error) if ended.is_err() => ended = Err(error),
            Err(error) => tracing::debug!(%error, "a broker does not know a lite subscription"),
            Ok(()) => ended = Ok(()),
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use remoting_codec::ResponseCode;

    use super::*;

    #[test]
    fn a_refusal_counts_and_an_unreachable_broker_does_not() {
        let fails = |kind| Err(MessagingError::new(kind, ""));
        let refused = ErrorKind::Refused(ResponseCode(2018));
        let kind = |answers| one_of(answers).map_err(|error| error.kind());
        assert_eq!(kind(vec![Ok(()), fails(ErrorKind::Lost)]), Ok(()));
        assert_eq!(kind(vec![fails(ErrorKind::Lost), Ok(())]), Ok(()));
        assert_eq!(kind(vec![Ok(()), fails(refused)]), Err(refused));
        assert_eq!(kind(vec![fails(ErrorKind::Lost)]), Err(ErrorKind::Lost));
        assert_eq!(kind(Vec::new()), Err(ErrorKind::NoSuchTopic));
    }
}
