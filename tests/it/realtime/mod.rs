//! Who hears what of changes, over both transports: in order, judged at the moment of each event, and from a cursor on.

mod channels;
mod crowd;
pub(crate) mod ears;
mod fidelity;
mod frames;
mod guarded;
mod hostile;
mod identity;
mod limits;
mod live;
mod model;
mod named;
mod resume;
mod siege;
mod sight;
mod streams;
pub(crate) mod world;
