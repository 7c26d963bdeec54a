//! The open application: every service in one place, for whoever holds a wire. Knows no HTTP.

use std::ops::Deref;
use std::sync::Arc;

use crate::auth::Auth;
use crate::config::Config;
use crate::kit::clock::Clock;
use crate::ops::settings::Settings;
use crate::records::Records;
use crate::store::Store;

/// All services. Cheap to clone: one reference count.
#[derive(Clone, Debug)]
pub struct App(Arc<Services>);

/// What [`App`] derefs to.
#[derive(Debug)]
pub struct Services {
    /// How the process was started.
    pub config: Config,
    /// Source of time.
    pub clock: Clock,
    /// The database.
    pub store: Store,
    /// Who people are.
    pub auth: Auth,
    /// What operators chose.
    pub settings: Settings,
    /// Records of all collections.
    pub records: Records,
}

impl App {
    /// Ties services together.
    #[must_use]
    pub fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

impl Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}
