//! The bare argon2 library at our parameters, on one thread and on as many as a server of this machine hashes with: what
//! sign-ins are measured against (`benches/sign_in.py rate --bare`).

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

const SECONDS: u64 = 5;

/// Hashes made on one thread until `end`; none where the library refuses.
fn hashes(end: Instant) -> u32 {
    let Ok(params) = Params::new(19_456, 2, 1, None) else {
        return 0;
    };
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0; 32];
    let mut made = 0;
    while Instant::now() < end {
        let done = argon2.hash_password_into(b"a-long-password", b"sixteen bytes ..", &mut output);
        made += u32::from(done.is_ok());
    }
    made
}

fn main() -> std::io::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for threads in [1, cores.saturating_sub(1).max(1)] {
        let began = Instant::now();
        let end = began + Duration::from_secs(SECONDS);
        let made: u32 = thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| hashes(end))).collect();
            running
                .into_iter()
                .map(|thread| thread.join().unwrap_or(0))
                .sum()
        });
        let rate = f64::from(made) / began.elapsed().as_secs_f64();
        let each = rate / f64::from(u32::try_from(threads).unwrap_or(1));
        writeln!(
            std::io::stdout(),
            "{threads} thread(s): {rate:.2} hashes a second, {each:.2} a thread"
        )?;
    }
    Ok(())
}
