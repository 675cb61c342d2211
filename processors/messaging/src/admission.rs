//! Admission: whether a client may make a request, before a broker is chosen for it.
//!
//! Every request of every protocol passes [`admit`] once. Quotas (by client, topic or group) and
//! access control (the permissions of a user for a topic and group) belong here: all that they need
//! is in [`Caller`] and [`Ask`]. Both are borrowed, and nothing is allocated unless the request is
//! refused.

use remoting_codec::RequestCode;
use remoting_codec::headers::Text;

use crate::caller::Caller;
use crate::error::{ErrorKind, MessagingError};
use crate::policy::Policy;

/// The properties of a request that admission depends on.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The request code, which shows whether it is a long poll.
    pub code: RequestCode,
    /// The topic, if the request names one.
    pub topic: Option<Text<'a>>,
    /// The group of the consumer or producer, if it names one.
    pub group: Option<Text<'a>>,
    /// The length of the request, in bytes.
    pub bytes: usize,
    /// The number of long polls that the client has outstanding.
    pub polls: usize,
}

/// Whether the client may make the request now.
///
/// # Errors
/// If the request is refused: [`ErrorKind::Busy`] if the client has too many long polls
/// outstanding.
#[inline]
pub fn admit(caller: &Caller, ask: &Ask<'_>) -> Result<(), MessagingError> {
    admit_poll(caller.policy(), ask)
}

/// Polls may last for minutes. If the client were not read meanwhile, its disconnect would not be
/// noticed. So further polls are refused instead of left unread.
#[inline]
fn admit_poll(policy: &Policy, ask: &Ask<'_>) -> Result<(), MessagingError> {
    if ask.polls < policy.outstanding_limit || !ask.code.is_long_poll() {
        return Ok(());
    }
    Err(MessagingError::new(
        ErrorKind::Busy,
        "the client has as many polls outstanding as limits.outstanding_requests allows: \
         poll again when one is answered, or raise the limit",
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
