//! Random histories: writers write, readers read slowly, go away, come back as somebody else, and the server is killed
//! under them. Afterwards each reader must hold exactly what a list request answers to who they are.

mod chance;
mod history;
mod house;
mod reader;
mod wire;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use history::{Base, Kill};

/// How many histories there are: `BURROW_HISTORIES`, from `BURROW_HISTORY_SEED` on.
fn asked(name: &str, default: u64) -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever looks for a rare history asks for more of them"
    )]
    let text = std::env::var(name);
    text.ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Lives `count` histories, a few at a time; each says its seed when it fails.
fn live(count: u64, at_once: usize, kill: Kill) {
    let first = asked("BURROW_HISTORY_SEED", 1);
    let next = AtomicU64::new(first);
    let base = match kill {
        Kill::Image | Kill::Process => Base::new(),
        Kill::Node => Base::of_nodes(),
    };
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    history::live(&base, seed, kill);
                }
            });
        }
    });
}

#[test]
fn what_readers_hold_is_what_the_database_shows_them() {
    live(asked("BURROW_HISTORIES", 480), 4, Kill::Image);
}

#[test]
fn so_it_is_when_the_process_is_killed() {
    live(
        asked("BURROW_HISTORIES", 480).div_ceil(24),
        2,
        Kill::Process,
    );
}

#[test]
fn so_it_is_with_several_servers_of_which_one_is_killed() {
    live(asked("BURROW_HISTORIES", 480).div_ceil(60), 1, Kill::Node);
}
