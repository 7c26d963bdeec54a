//! Realtime: what was committed reaches every connection that may see it, in order and off the write path.
//! Knows no transport: connections are outboxes of ready-made frames.

mod channel;
mod client;
mod comeback;
mod deliver;
mod frame;
mod groups;
mod hub;
mod identity;
mod index;
mod judge;
mod live;
mod once;
mod past;
mod protocol;
mod relay;
mod replay;
mod replayer;
mod ring;
mod roster;
mod stats;
mod submit;
mod survey;
mod topic;
mod view;
mod worker;

pub use channel::{Ask as ChannelAsk, Count as ChannelCount, Refused as ChannelRefused};
pub use client::{ClientId, Ended, Outbox, Transport};
pub use frame::{sse_connect, ws_error};
pub use hub::{Arrival, Connection, Error, Hub};
pub use judge::Refusal;
pub use live::{Question, Unanswered};
pub use protocol::{Ask, Malformed, Message, parse};
pub use survey::{Seen, Survey, TopicCount};
pub use topic::{Options, Topic};
