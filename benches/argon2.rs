//! The bare argon2 library at our parameters, on one thread and on as many as a server of this machine hashes with: what
//! sign-ins are measured against (`benches/sign_in.py rate --bare`).

#![expect(clippy::print_stdout, reason = "a figure to read")]
#![expect(
    clippy::expect_used,
    reason = "what cannot be hashed ends the measurement"
)]
#![expect(clippy::disallowed_methods, reason = "the clock is what is read here")]

use std::thread;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

const SECONDS: u64 = 5;

/// Hashes made on one thread until `end`.
fn hashes(end: Instant) -> u32 {
    let params = Params::new(19_456, 2, 1, None).expect("these are the defaults");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0; 32];
    let mut made = 0;
    while Instant::now() < end {
        argon2
            .hash_password_into(b"a-long-password", b"sixteen bytes ..", &mut output)
            .expect("salt and output are long enough");
        made += 1;
    }
    made
}

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for threads in [1, cores.saturating_sub(1).max(1)] {
        let began = Instant::now();
        let end = began + Duration::from_secs(SECONDS);
        let made: u32 = thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| hashes(end))).collect();
            running
                .into_iter()
                .map(|thread| thread.join().expect("hashing does not panic"))
                .sum()
        });
        let rate = f64::from(made) / began.elapsed().as_secs_f64();
        let each = rate / f64::from(u32::try_from(threads).unwrap_or(1));
        println!("{threads} thread(s): {rate:.2} hashes a second, {each:.2} a thread");
    }
}
