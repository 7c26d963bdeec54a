//! Request lines as clients of the contract send them. Browsers and the reference take `<`, `>`, `"` and `` ` `` in a
//! URL as they are; the parser below us refuses the whole request. They are escaped on the way in, in the first line of
//! a request and nowhere else: bodies pass untouched. A client that takes nothing for too long is let go.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::kit::limits::WRITE_STALL_SECS_MAX;

/// How many requests of a connection were taken in to their ends. Between two of them the next bytes are a first line.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken(Arc<AtomicU64>);

impl Taken {
    /// Says that the present request has come to its end.
    pub(super) fn whole(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection whose first lines are mended.
#[derive(Debug)]
pub(super) struct Lenient<S> {
    inner: S,
    taken: Taken,
    /// Requests whose first line has passed.
    lines: u64,
    /// Escaped bytes for which there was no room yet.
    waiting: Vec<u8>,
    /// Runs while the client takes nothing of what there is to send.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Lenient<S> {
    pub(super) fn new(inner: S, taken: Taken) -> Self {
        Self {
            inner,
            taken,
            lines: 0,
            waiting: Vec::new(),
            stall: None,
        }
    }

    /// Passes the outcome of a write on; one that has waited for too long is an error.
    fn timed<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let most = Duration::from_secs(WRITE_STALL_SECS_MAX);
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(most)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the bytes that come next belong to the first line of a request.
    fn in_line(&self) -> bool {
        self.lines <= self.taken.0.load(Ordering::Relaxed)
    }
}

fn is_odd(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'"' | b'`')
}

fn escaped(bytes: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(bytes.len() + 32);
    for &byte in bytes {
        if is_odd(byte) {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'%', HEX[high], HEX[low]]);
        } else {
            out.push(byte);
        }
    }
    out
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.waiting.is_empty() {
            let fits = self.waiting.len().min(buf.remaining());
            buf.put_slice(&self.waiting[..fits]);
            self.waiting.drain(..fits);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if !self.in_line() {
            return Poll::Ready(Ok(()));
        }
        let fresh = &buf.filled()[before..];
        let end = memchr::memchr(b'\n', fresh);
        let line = &fresh[..end.unwrap_or(fresh.len())];
        if line.iter().copied().any(is_odd) {
            let mut mended = escaped(line);
            mended.extend_from_slice(&fresh[line.len()..]);
            buf.set_filled(before);
            let fits = mended.len().min(buf.remaining());
            buf.put_slice(&mended[..fits]);
            self.waiting = mended.split_off(fits);
        }
        if end.is_some() {
            self.lines = self.taken.0.load(Ordering::Relaxed) + 1;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.timed(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.timed(cx, written)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn through(pieces: &[&[u8]], whole_after: &[usize]) -> String {
        let taken = Taken::default();
        let mut out = Vec::new();
        let mut connection = Lenient::new(io::Cursor::new(Vec::new()), taken.clone());
        for (at, piece) in pieces.iter().enumerate() {
            connection.inner = io::Cursor::new(piece.to_vec());
            connection.read_to_end(&mut out).await.unwrap();
            if whole_after.contains(&at) {
                taken.whole();
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn only_first_lines_are_mended() {
        let pieces: [&[u8]; 4] = [
            b"GET /a?b=\"c>1",
            b"<\" HTTP/1.1\r\nx: <y>\r\n\r\n",
            b"<body>\n<body>",
            b"GET /<d> HTTP/1.1\r\n\r\n",
        ];
        assert_eq!(
            through(&pieces, &[2]).await,
            "GET /a?b=%22c%3E1%3C%22 HTTP/1.1\r\nx: <y>\r\n\r\n<body>\n<body>GET /%3Cd%3E HTTP/1.1\r\n\r\n"
        );
    }
}
