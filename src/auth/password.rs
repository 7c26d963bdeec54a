//! Password hashes: argon2id for new ones, bcrypt read as PocketBase wrote it. Hashing is slow on purpose, so servers
//! do it on a small bounded pool of its own; the command line calls [`hash`] and [`verify`] directly.

use std::num::NonZero;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;

use crate::kit::limits::{
    ARGON2_MEMORY_KIB_MAX, ARGON2_ROUNDS_MAX, BCRYPT_COST_MAX, HASH_QUEUE_MAX, PASSWORD_BYTES_MAX,
};

const MEMORY_KIB: u32 = 19_456;
const ROUNDS: u32 = 2;
const LANES: u32 = 1;
const VERSION: Version = Version::V0x13;
/// Allocations past 32 MiB are never kept by the C library's allocator.
const UNKEPT_KIB: usize = 33 << 10;
/// Added to the niceness of the threads that hash: who only reads goes first when the processor is short.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;
/// bcrypt reads no further; a longer password was never hashed by it.
const BCRYPT_PASSWORD_BYTES_MAX: usize = 72;
const BCRYPT_COST: u32 = 10;
const RANDOM_PASSWORD_CHARS: usize = 30;

/// Checked when there is nobody to check, so that an unknown identity takes as long as a wrong password. It is of
/// today's parameters and of no password.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$YnVycm93LWR1bW15LXNhbA$\
                     Tm9Cb2R5S25vd3NUaGVQYXNzd29yZE9mVGhpc0hhc2g";

/// Which hashes are made for new passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scheme {
    /// argon2id (19 MiB, 2 rounds, 1 lane).
    #[default]
    Argon2id,
    /// bcrypt, so that PocketBase can still read them.
    Bcrypt,
}

/// Why a password could not be hashed or checked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many are waiting (503).
    #[error("too many passwords are being checked")]
    Busy,
    /// The hashing library failed; a stored hash that is broken is a wrong password, not this.
    #[error("the password cannot be hashed")]
    Failed,
}

/// A new hash of `password`, as text.
///
/// # Errors
/// When the hashing library refuses, for instance without memory.
pub fn hash(scheme: Scheme, password: &str) -> Result<String, HashError> {
    Hasher::default().hash(scheme, password)
}

/// Whether `hash` is of `password`. A hash that cannot be read, or that would take absurdly long, is of none.
#[must_use]
pub fn verify(hash: &str, password: &str) -> bool {
    Hasher::default().verify(hash, password)
}

/// What hashes, with the memory that argon2id works in. To get it from the system and give it back costs a fifth of a
/// hash, so it is kept from one to the next until [`Hasher::rest`].
#[derive(Default)]
struct Hasher {
    memory: Vec<Block>,
}

impl Hasher {
    /// Gives the memory back.
    fn rest(&mut self) {
        self.memory = Vec::new();
    }

    fn hash(&mut self, scheme: Scheme, password: &str) -> Result<String, HashError> {
        match scheme {
            Scheme::Bcrypt if password.len() <= BCRYPT_PASSWORD_BYTES_MAX => {
                bcrypt::hash(password, BCRYPT_COST).map_err(|_| HashError::Failed)
            }
            Scheme::Bcrypt | Scheme::Argon2id => {
                let params = Params::new(MEMORY_KIB, ROUNDS, LANES, None);
                let salt = crate::kit::id::random_bytes::<16>();
                params
                    .ok()
                    .and_then(|params| self.argon2id(params, &salt, password))
                    .map(|hash| hash.to_string())
                    .ok_or(HashError::Failed)
            }
        }
    }

    fn verify(&mut self, hash: &str, password: &str) -> bool {
        // Nothing so long was ever hashed, and hashing it would take its time.
        if password.len() as u64 > PASSWORD_BYTES_MAX {
            return false;
        }
        if hash.starts_with("$2") {
            return verify_bcrypt(hash, password);
        }
        let Ok(parsed) = PasswordHash::new(hash) else {
            return false;
        };
        let Ok(params) = Params::try_from(&parsed) else {
            return false;
        };
        if params.m_cost() > ARGON2_MEMORY_KIB_MAX
            || params.t_cost().saturating_mul(params.p_cost()) > ARGON2_ROUNDS_MAX
        {
            return false;
        }
        // Only what we make: other variants of argon2 were never written by anybody who kept this table.
        let is_ours =
            parsed.algorithm.as_str() == "argon2id" && parsed.version == Some(VERSION.into());
        let (true, Some(salt), Some(expected)) = (is_ours, &parsed.salt, &parsed.hash) else {
            return false;
        };
        // Comparing outputs takes the same time for all of them.
        self.argon2id(params, salt, password)
            .and_then(|made| made.hash)
            .is_some_and(|made| made == *expected)
    }

    /// The hash of `password`; `None` when the parameters or the salt cannot be used.
    fn argon2id(&mut self, params: Params, salt: &[u8], password: &str) -> Option<PasswordHash> {
        let mut output = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let output = output.get_mut(..length)?;
        let texts = ParamsString::try_from(&params).ok()?;
        let blocks = params.block_count();
        let memory = self.room(blocks)?;
        Argon2::new(Algorithm::Argon2id, VERSION, params)
            .hash_password_into_with_memory(password.as_bytes(), salt, output, memory)
            .ok()?;
        Some(PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(VERSION.into()),
            params: texts,
            salt: Some(Salt::new(salt).ok()?),
            hash: Some(Output::new(output).ok()?),
        })
    }

    /// Memory of `blocks` blocks; what was in them before does not matter.
    fn room(&mut self, blocks: usize) -> Option<&mut [Block]> {
        if self.memory.len() < blocks {
            // Room for more than is used, and never touched: allocators keep what they freed once and hand it out
            // again, but give blocks of this size straight back to the system. A server that is idle should not hold
            // 19 MiB a thread.
            self.memory = Vec::new();
            self.memory.try_reserve_exact(blocks.max(UNKEPT_KIB)).ok()?;
            self.memory.resize(blocks, Block::new());
        }
        self.memory.get_mut(..blocks)
    }
}

/// A password that nobody knows, in the place of one that somebody else may have set.
#[must_use]
pub fn random() -> String {
    crate::kit::id::random(RANDOM_PASSWORD_CHARS, crate::kit::id::ALNUM).into()
}

fn verify_bcrypt(hash: &str, password: &str) -> bool {
    let cost = hash.split('$').nth(2).and_then(|c| c.parse::<u32>().ok());
    hash.is_ascii()
        && cost.is_some_and(|cost| cost <= BCRYPT_COST_MAX)
        && password.len() <= BCRYPT_PASSWORD_BYTES_MAX
        && bcrypt::verify(password, hash).unwrap_or(false)
}

/// Whether a password that was just proven right should be hashed anew: bcrypt, or argon2 of lower parameters.
#[must_use]
pub fn needs_upgrade(scheme: Scheme, hash: &str) -> bool {
    if scheme == Scheme::Bcrypt {
        return false;
    }
    let Ok(parsed) = PasswordHash::new(hash) else {
        return true;
    };
    let Ok(params) = Params::try_from(&parsed) else {
        return true;
    };
    parsed.algorithm.as_str() != "argon2id"
        || params.m_cost() < MEMORY_KIB
        || params.t_cost() < ROUNDS
}

type Job = Box<dyn FnOnce(&mut Hasher) + Send>;

/// How long a thread that has nothing to do keeps its memory: the next sign-in may be on its way.
const KEPT: Duration = Duration::from_millis(200);

/// Does the jobs until there can be none any more.
fn work_off(jobs: &Receiver<Job>) {
    // Of this thread alone, which only Linux knows. One that may not be lowered works at the usual priority.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
    let mut hasher = Hasher::default();
    loop {
        let job = jobs.recv_timeout(KEPT).or_else(|_| {
            hasher.rest();
            jobs.recv()
        });
        match job {
            Ok(job) => job(&mut hasher),
            Err(_) => return,
        }
    }
}

/// The hashing pool: one thread less than there are cores, at least one, of low priority. Cheap to clone; ends with the last clone.
#[derive(Clone, Debug)]
pub struct Passwords {
    scheme: Scheme,
    queue: Sender<Job>,
}

impl Passwords {
    /// Starts the pool.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(scheme: Scheme) -> std::io::Result<Self> {
        let (queue, jobs) = crossbeam_channel::bounded::<Job>(HASH_QUEUE_MAX);
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        for n in 0..cores.saturating_sub(1).max(1) {
            let jobs = jobs.clone();
            std::thread::Builder::new()
                .name(format!("password-{n}"))
                .spawn(move || work_off(&jobs))?;
        }
        Ok(Self { scheme, queue })
    }

    /// Which hashes are made.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A new hash of `password`.
    ///
    /// # Errors
    /// [`HashError::Busy`] when too many wait.
    pub async fn hash(&self, password: &str) -> Result<String, HashError> {
        let (scheme, password) = (self.scheme, password.to_owned());
        self.run(move |hasher| hasher.hash(scheme, &password))
            .await?
    }

    /// Whether `stored` is a hash of `password`; without one the same time passes and the answer is no.
    ///
    /// # Errors
    /// [`HashError::Busy`] when too many wait.
    pub async fn verify(&self, stored: Option<&str>, password: &str) -> Result<bool, HashError> {
        let known = stored.is_some_and(|hash| !hash.is_empty());
        let stored = stored.filter(|_| known).unwrap_or(DUMMY).to_owned();
        let password = password.to_owned();
        let right = self
            .run(move |hasher| hasher.verify(&stored, &password))
            .await?;
        Ok(right && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Hasher) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |hasher| {
            // Nobody waits any more: the client left while the job was queued.
            if !answer.is_closed() {
                drop(answer.send(work(hasher)));
            }
        });
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => HashError::Busy,
            TrySendError::Disconnected(_) => HashError::Failed,
        })?;
        answered.await.map_err(|_| HashError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_hashes_are_argon2id_of_the_contracts_parameters() {
        let made = hash(Scheme::Argon2id, "secret").unwrap();
        assert!(
            made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{made}"
        );
        assert!(verify(&made, "secret"));
        assert!(!verify(&made, "Secret"));
        assert!(!needs_upgrade(Scheme::Argon2id, &made));
    }

    #[test]
    fn memory_of_an_earlier_hash_changes_nothing() {
        let (first, second) = (
            hash(Scheme::Argon2id, "first"),
            hash(Scheme::Argon2id, "second"),
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        let mut hasher = Hasher::default();
        // Of more memory, and so of more than the next one fills.
        let large = Params::new(2 * MEMORY_KIB, 1, 2, None).unwrap();
        assert!(hasher.argon2id(large, &[7; 16], "large").is_some());
        for _ in 0..2 {
            assert!(hasher.verify(&first, "first"));
            assert!(!hasher.verify(&first, "second"));
            assert!(hasher.verify(&second, "second"));
            hasher.rest();
        }
    }

    #[test]
    fn bcrypt_hashes_are_verified_and_upgraded() {
        let old = bcrypt::hash("secret", 4).unwrap();
        assert!(verify(&old, "secret"));
        assert!(verify(&old.replacen("$2b$", "$2a$", 1), "secret"));
        assert!(!verify(&old, "other"));
        assert!(needs_upgrade(Scheme::Argon2id, &old));
        assert!(!needs_upgrade(Scheme::Bcrypt, &old));
    }

    #[test]
    fn what_bcrypt_would_cut_off_still_counts() {
        let password = "x".repeat(72);
        let old = bcrypt::hash(&password, 4).unwrap();
        assert!(verify(&old, &password));
        assert!(!verify(&old, &format!("{password}y")));
        let long = "x".repeat(80);
        assert!(verify(&hash(Scheme::Bcrypt, &long).unwrap(), &long));
    }

    #[test]
    fn broken_hashes_are_wrong_passwords() {
        for broken in [
            "",
            "$2a$",
            "$2a$10$short",
            "$2a$31$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu",
            "$2a$10$\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
            "$argon2id$v=19$m=99999999,t=2,p=1$YnVycm93LWR1bW15LXNhbA$Tm9Cb2R5S25vd3NUaGVQYXNzd29yZE9mVGhpc0hhc2g",
            "plain",
            "$argon2id$",
        ] {
            assert!(!verify(broken, ""), "{broken:?}");
            assert!(!verify(broken, "plain"), "{broken:?}");
        }
    }

    #[test]
    fn the_dummy_is_a_readable_hash_of_todays_parameters() {
        assert!(PasswordHash::new(DUMMY).is_ok());
        assert!(!needs_upgrade(Scheme::Argon2id, DUMMY));
    }

    #[tokio::test]
    async fn nobody_is_never_right() {
        let pool = Passwords::start(Scheme::Argon2id).unwrap();
        let made = pool.hash("secret").await.unwrap();
        assert!(pool.verify(Some(&made), "secret").await.unwrap());
        assert!(!pool.verify(Some(""), "").await.unwrap());
        assert!(!pool.verify(None, "secret").await.unwrap());
    }
}
