//! The bytes that wait in an outbox.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::account::Account;
use crate::buffers::Buffers;

/// A piece that has grown to this is followed by another. A piece is freed only when all of it is
/// written, and a connection that is never idle would otherwise never free anything.
pub(super) const PIECE_MAX: usize = 64 * 1024;

/// Most pieces that one write gathers.
const GATHER_MAX: usize = 16;

/// The bytes that wait to be written, in order, and the progress of writing.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are written already.
    written: usize,
    /// Bytes that are not written yet.
    pub(super) len: usize,
    /// Bytes that were written since the connection was opened.
    pub(super) total: u64,
    /// How many of these were handed to the operating system; TLS may keep some back for a while.
    pub(super) flushed: u64,
    /// Waiting frames that are charged to the connections that they arrived over, and the sum of
    /// their bytes.
    pub(super) forwarded: VecDeque<Forwarded>,
    pub(super) forwarded_len: usize,
    /// Since when the first of these bytes has been waiting.
    pub(super) since: Option<Instant>,
    pub(super) ending: Ending,
    pub(super) writer: Option<Waker>,
    pub(super) flush_waiters: Vec<Waker>,
}

/// How far the end of the connection is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Ending {
    #[default]
    Open,
    /// Everything is written, then the connection ends.
    Finishing,
    /// The connection ends now, or has ended.
    Closed,
}

/// Whether a write has emptied the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Written {
    All,
    /// Part of it: `room` was used up.
    Part,
}

/// A frame that arrived over another connection.
#[derive(Debug)]
pub(super) struct Forwarded {
    /// The total number of written bytes after it is written.
    pub(super) end: u64,
    pub(super) length: usize,
    pub(super) from: Rc<Account>,
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        self.from.forwarded_all(self.length);
    }
}

/// Bytes that are written together.
#[derive(Debug)]
pub(super) enum Piece {
    /// Grows while it is the last.
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Queue {
    pub(super) fn poll_write_once<S: AsyncWrite + Unpin>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut S,
        mut room: usize,
    ) -> Poll<io::Result<usize>> {
        let mut pieces = self.pieces.iter().map(Piece::bytes);
        let first = pieces.next().unwrap_or_default();
        let first = first.get(self.written..).unwrap_or_default();
        if self.pieces.len() == 1 || first.len() >= room {
            let first = first.get(..room).unwrap_or(first);
            return Pin::new(stream).poll_write(cx, first);
        }
        let mut slices = [IoSlice::new(&[]); GATHER_MAX];
        let mut used = 0;
        for (slice, bytes) in slices.iter_mut().zip(std::iter::once(first).chain(pieces)) {
            let bytes = bytes.get(..room).unwrap_or(bytes);
            *slice = IoSlice::new(bytes);
            used += 1;
            room -= bytes.len();
            if room == 0 {
                break;
            }
        }
        let slices = slices.get(..used).unwrap_or_default();
        Pin::new(stream).poll_write_vectored(cx, slices)
    }

    /// Bytes that are charged to the connection itself. A frame of another connection stays charged
    /// to that one until all of it is written.
    fn own_len(&self) -> usize {
        let begun = self.forwarded.front().map_or(0, |first| {
            let start = first.end - first.length as u64;
            let begun = self.total.saturating_sub(start);
            usize::try_from(begun).map_or(first.length, |begun| begun.min(first.length))
        });
        (self.len + begun).saturating_sub(self.forwarded_len)
    }

    pub(super) fn discard(&mut self, buffers: &Buffers, account: &Account) {
        account.take(self.own_len());
        self.forwarded.clear();
        self.forwarded_len = 0;
        self.len = 0;
        self.written = 0;
        for piece in self.pieces.drain(..) {
            if let Piece::Own(bytes) = piece {
                buffers.give_back(bytes);
            }
        }
    }

    pub(super) fn advance(&mut self, written: usize, buffers: &Buffers, account: &Account) {
        let before = self.own_len();
        self.len = self.len.saturating_sub(written);
        self.total += written as u64;
        while let Some(first) = self.forwarded.front()
            && first.end <= self.total
        {
            self.forwarded_len -= first.length;
            self.forwarded.pop_front();
        }
        let now = self.own_len();
        match now > before {
            true => account.add(now - before),
            false => account.take(before - now),
        }
        self.written += written;
        while let Some(first) = self.pieces.front() {
            let length = first.bytes().len();
            if self.written < length {
                return;
            }
            self.written -= length;
            if let Some(Piece::Own(bytes)) = self.pieces.pop_front() {
                buffers.give_back(bytes);
            }
        }
    }
}
