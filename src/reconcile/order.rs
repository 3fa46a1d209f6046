//! How walks are to be, and why one isn't begun.

use std::time::Duration;

use jiff::Timestamp;

use crate::dispatch::StorePause;
use crate::store::StoreError;

/// The limits of walks, with their defaults.
#[derive(Debug, Clone)]
pub struct ReconcileSettings {
    /// How often; none: by hand only.
    pub every: Option<Duration>,
    /// How long after one has broken off the schedule has it go on; 15 min.
    pub again: Duration,
    /// How many accounts and customers per second, for each handler; 20. A page of a list counts as one.
    pub rate: f64,
    /// How many a page of PortaBilling's list has, and one of what was delivered; 100.
    pub page: usize,
    /// How many are asked for at a time, for each handler; 4.
    pub in_flight: usize,
    /// How many of those that differ are kept to be shown; 50.
    pub examples: usize,
    /// For how many that are gone a walk makes events before it breaks off, to go on when somebody has it resumed; 1 000.
    pub gone_max: u64,
    /// How often PortaBilling is asked for a page of its list, if it refuses to give it, before the walk breaks off; 5.
    pub list_tries: u32,
    /// How long to wait after PortaBilling or the store has failed; from 50 ms to 1 s, so that a walk that is alone with an
    /// outage opens PortaBilling's breaker before long.
    pub pause: StorePause,
    /// How often it is looked whether PortaBilling's breaker lets a question through; 250 ms.
    pub tick: Duration,
    /// What this gateway is called, for the others on the same store.
    pub gateway: String,
    /// How often whoever walks shows that it is alive, and the others look; 5 s.
    pub heartbeat: Duration,
    /// After so long without that another gateway goes on with the walk; 15 s.
    pub lease: Duration,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        Self {
            every: None,
            again: Duration::from_secs(15 * 60),
            rate: 20.0,
            page: 100,
            in_flight: 4,
            examples: 50,
            gone_max: 1000,
            list_tries: 5,
            pause: StorePause { longest: Duration::from_secs(1), ..StorePause::default() },
            tick: Duration::from_millis(250),
            gateway: "gateway".into(),
            heartbeat: Duration::from_secs(5),
            lease: Duration::from_secs(15),
        }
    }
}

/// How a walk is to be.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Order {
    /// Only look.
    pub dry_run: bool,
    /// So many accounts and customers per second; none: as in the settings.
    pub rate: Option<f64>,
    /// Go on with the one that was stopped or has broken off, as it was.
    pub resume: bool,
}

/// Why a walk isn't begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such handler.
    #[error("there is no handler {0:?}")]
    Unknown(String),
    /// It isn't set up for that.
    #[error("handler {handler:?} can't be reconciled: {why}")]
    Unfit {
        /// Which.
        handler: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// One at a time.
    #[error("a walk for handler {0:?} is under way; stop it first, or wait")]
    Running(String),
    /// One at a time, among all gateways on the store.
    #[error("gateway {gateway:?} walks for handler {handler:?} since {since}; wait, or stop it there")]
    Elsewhere {
        /// For whom.
        handler: String,
        /// Who.
        gateway: String,
        /// Since when.
        since: Timestamp,
    },
    /// There is none to go on with.
    #[error("no walk for handler {0:?} has been stopped or has broken off; start one without resuming")]
    NothingToResume(String),
    /// The gateway is going down.
    #[error("the gateway is being stopped")]
    Stopping,
    /// The store couldn't keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
