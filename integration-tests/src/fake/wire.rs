//! Whole frames over a socket, without any of Remora's own transport.

use std::io;

use bytes::Bytes;
use remoting_codec::RemotingCommand;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads one command; `None` when the other side has closed the connection.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<RemotingCommand>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut frame = length.to_vec();
    frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
    stream
        .read_exact(frame.get_mut(4..).unwrap_or_default())
        .await?;
    let command = RemotingCommand::decode(&Bytes::from(frame));
    command.map(Some).map_err(io::Error::other)
}
