//! Serving a connection until it ends.

use std::rc::Rc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::{Connection, Version};
use crate::unread::Watched;
use crate::{http1, http2};

/// Serves requests until the client leaves, or must: each is answered by the future that `service`
/// returns. The connection is closed then.
///
/// What a request cannot mean in one way only is refused before `service` sees it.
///
/// # Errors
/// What the client has broken, or that the transport has failed.
pub async fn serve<S, F, A>(
    connection: &Rc<Connection>,
    stream: S,
    service: F,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Fn(Request<Incoming>) -> A + 'static,
    A: Future<Output = Response<Watched>> + 'static,
{
    match connection.version() {
        Version::Http1 => Box::pin(http1::serve(connection, stream, service)).await,
        Version::Http2 => http2::serve(connection, stream, service).await,
    }
}
