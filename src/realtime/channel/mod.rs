//! Channels: messages between clients, and who is there. Nothing of it is stored; the last messages of a channel stay
//! in memory for those who come back. Who may use a channel is said by the settings, in the rule language.

mod ask;
mod desk;
mod door;
mod faces;
mod frame;
mod join;
mod room;
mod rules;
mod speak;
mod state;
mod worker;

pub use ask::Ask;
pub(super) use ask::parse;
pub(super) use desk::Channels;
pub use desk::Refused;
pub use state::Count;
