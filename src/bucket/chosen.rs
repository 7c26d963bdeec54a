//! The bucket that the settings name at the moment.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Bucket, Options};
use crate::outbound::Pool;

type Read = dyn Fn() -> Option<Arc<Options>> + Send + Sync;

/// Follows whoever chooses the bucket, whenever it is asked. Cheap to clone.
#[derive(Clone)]
pub struct Chosen(Arc<Inner>);

struct Inner {
    pool: Pool,
    read: Box<Read>,
    last: Mutex<Option<(Arc<Options>, Bucket)>>,
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chosen")
            .field("last", &*self.0.last.lock())
            .finish_non_exhaustive()
    }
}

impl Chosen {
    /// The bucket that `read` tells of, reached through `pool`.
    pub fn new(
        pool: Pool,
        read: impl Fn() -> Option<Arc<Options>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            pool,
            read: Box::new(read),
            last: Mutex::default(),
        }))
    }

    /// Never a bucket.
    #[must_use]
    pub fn never() -> Self {
        Self::new(Pool::new(), || None)
    }

    /// The bucket, if there is to be one.
    #[must_use]
    pub fn now(&self) -> Option<Bucket> {
        let options = (self.0.read)()?;
        let mut last = self.0.last.lock();
        if let Some((known, bucket)) = &*last
            && (Arc::ptr_eq(known, &options) || *known == options)
        {
            return Some(bucket.clone());
        }
        let bucket = Bucket::new(&self.0.pool, &options);
        *last = Some((options, bucket.clone()));
        Some(bucket)
    }
}
