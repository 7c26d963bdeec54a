//! What the process was told when it was started. The only reader of flags and environment fills this in.

use std::path::PathBuf;

use crate::kit::secret::Secret;

/// How this process runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub dir: PathBuf,
    /// Directory of static files served from `/`, when there is one.
    pub public_dir: Option<PathBuf>,
    /// Whether a missing static file is answered with `index.html`.
    pub index_fallback: bool,
    /// Origins that browsers may call from; `*` and `?` are wildcards.
    pub origins: Vec<String>,
    /// Hosts of ours whose `www.` twin redirects to them.
    pub www_hosts: Vec<String>,
    /// Key that settings are encrypted with, when there is one.
    pub encryption_key: Option<Secret<String>>,
    /// Name of the variable that held the key, for messages.
    pub encryption_env: String,
}

impl Config {
    /// The defaults over a data directory.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            public_dir: None,
            index_fallback: true,
            origins: vec!["*".to_owned()],
            www_hosts: Vec::new(),
            encryption_key: None,
            encryption_env: String::new(),
        }
    }
}
