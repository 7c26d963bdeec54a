//! Point-in-time recovery: the database as it was at a moment (a base), and every write to its log since, put to a folder
//! or a bucket within a second. A base with the writes that follow it is a generation. A new one begins with each start, when
//! writes came by another way, when the place could not keep up, and every day; old ones go. Whatever happens here, the
//! database itself does not wait and loses nothing.

mod generation;
mod place;
mod recover;
mod shipper;

pub use generation::Generation;
pub use place::Place;
pub use recover::{Recovered, recover};
pub use shipper::{Progress, Shipper, Shipping, State};
