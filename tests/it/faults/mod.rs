//! What is lost when the process is killed or the power goes: nothing that was acknowledged, and nothing is half done.
//!
//! `work` does every kind of write at once and remembers what may be there; `kill` ends the real binary by SIGKILL,
//! `power` takes away what was never synced. Each runs a few rounds here; `BURROW_FAULTS=100` makes it a hundred of each kind.

mod kill;
mod power;
mod work;

pub(crate) use kill::Server;

/// How many rounds of each kind are made.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is no setting of the product"
)]
fn rounds(usual: usize) -> usize {
    let wanted = std::env::var("BURROW_FAULTS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(usual)
}
