//! What is sent to a bucket: bytes at hand, or a part of a file, which is read a piece at a time and anew for each try.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use md5::{Digest, Md5};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::kit::limits::FILE_CHUNK_BYTES;
use crate::outbound::Payload;

/// The content of a request.
#[derive(Clone, Debug)]
pub enum Source {
    /// At hand.
    Bytes(Bytes),
    /// In a file, which must stay until it is sent.
    File {
        /// Its path.
        path: PathBuf,
        /// First byte.
        from: u64,
        /// Bytes.
        length: u64,
    },
}

impl Source {
    /// A whole file, as long as it is now.
    ///
    /// # Errors
    /// The disk's own.
    pub fn file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let length = std::fs::metadata(&path)?.len();
        let from = 0;
        Ok(Self::File { path, from, length })
    }

    /// Bytes of it.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    /// The part of it from `at` on, of `length` bytes at most.
    pub(super) fn part(&self, at: u64, length: u64) -> Self {
        let rest = self.length().saturating_sub(at).min(length);
        match self {
            Self::Bytes(bytes) => {
                let index = |n: u64| usize::try_from(n).unwrap_or(bytes.len()).min(bytes.len());
                Self::Bytes(bytes.slice(index(at)..index(at + rest)))
            }
            Self::File { path, from, .. } => Self::File {
                path: path.clone(),
                from: from + at,
                length: rest,
            },
        }
    }

    /// Its MD5, in Base64.
    pub(super) async fn digest(&self) -> io::Result<String> {
        Ok(BASE64_STANDARD.encode(self.md5().await?))
    }

    /// Its MD5.
    pub(super) async fn md5(&self) -> io::Result<[u8; 16]> {
        let source = self.clone();
        let digest = tokio::task::spawn_blocking(move || -> io::Result<Md5> {
            let mut digest = Md5::new();
            match source {
                Self::Bytes(bytes) => digest.update(&bytes),
                Self::File { path, from, length } => {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(from))?;
                    let mut file = file.take(length);
                    let mut buffer = vec![0; FILE_CHUNK_BYTES];
                    loop {
                        match file.read(&mut buffer)? {
                            0 => break,
                            read => digest.update(&buffer[..read]),
                        }
                    }
                }
            }
            Ok(digest)
        });
        let digest = digest.await.map_err(io::Error::other)??;
        Ok(digest.finalize().into())
    }

    /// The body of one request.
    pub(super) async fn body(&self) -> io::Result<Payload> {
        match self {
            Self::Bytes(bytes) => Ok(Full::new(bytes.clone())
                .map_err(|never| match never {})
                .boxed()),
            Self::File { path, from, length } => {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(SeekFrom::Start(*from)).await?;
                Ok(pieces(file, *length))
            }
        }
    }
}

fn pieces(file: tokio::fs::File, length: u64) -> Payload {
    let pieces = stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let mut piece = vec![0; most.min(FILE_CHUNK_BYTES)];
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        piece.truncate(read);
        Ok(Some((
            Frame::data(Bytes::from(piece)),
            (file, left - read as u64),
        )))
    });
    BoxBody::new(StreamBody::new(pieces))
}
