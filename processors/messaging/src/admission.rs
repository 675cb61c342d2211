//! Whether a request may be made at all, before a broker is chosen for it.
//!
//! Every request of every protocol passes [`admit`] once. This is where quotas (by client, topic or group) and access
//! control (which user may do what with which topic and group) belong: all that they need is in [`Caller`] and [`Ask`], both
//! borrowed, and nothing is allocated unless the request is refused.

use remoting_codec::RequestCode;
use remoting_codec::headers::Text;

use crate::caller::Caller;
use crate::error::{ErrorKind, MessagingError};
use crate::policy::Policy;

/// A request, as far as it matters to whether it may be made.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What is asked, as brokers call it.
    pub code: RequestCode,
    /// The topic, if it is about one.
    pub topic: Option<Text<'a>>,
    /// The group of the consumer or producer, if it names one.
    pub group: Option<Text<'a>>,
    /// Bytes of the request.
    pub bytes: usize,
    /// Long polls that the client has outstanding.
    pub polls: usize,
}

/// Whether the client may ask that now.
///
/// # Errors
/// With why not: [`ErrorKind::Busy`] when it has too many long polls outstanding.
#[inline]
pub fn admit(caller: &Caller, ask: &Ask<'_>) -> Result<(), MessagingError> {
    admit_poll(caller.policy(), ask)
}

/// Polls may last for minutes. A client that is not read meanwhile could leave without being noticed, so further polls
/// are refused and not left unread.
#[inline]
fn admit_poll(policy: &Policy, ask: &Ask<'_>) -> Result<(), MessagingError> {
    if ask.polls < policy.outstanding_limit || !ask.code.is_long_poll() {
        return Ok(());
    }
    Err(MessagingError::new(
        ErrorKind::Busy,
        "the client has as many polls outstanding as limits.outstanding_requests allows",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_above_the_limit_are_refused_and_nothing_else() {
        let policy = Policy {
            outstanding_limit: 2,
            ..Policy::default()
        };
        let admitted = |code, polls| {
            let ask = Ask {
                code,
                topic: Some("t".into()),
                group: None,
                bytes: 100,
                polls,
            };
            admit_poll(&policy, &ask).map_err(|error| error.kind())
        };
        for poll in [
            RequestCode::PULL_MESSAGE,
            RequestCode::POP_MESSAGE,
            RequestCode::NOTIFICATION,
        ] {
            assert_eq!(admitted(poll, 1), Ok(()));
            assert_eq!(admitted(poll, 2), Err(ErrorKind::Busy));
        }
        assert_eq!(admitted(RequestCode::SEND_MESSAGE_V2, 2), Ok(()));
    }
}
