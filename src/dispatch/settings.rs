//! The limits of the dispatcher.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gate::GateSettings;

/// The limits of the dispatcher, with their defaults.
#[derive(Debug, Clone)]
pub struct DispatchSettings {
    /// How many deliveries each handler has in flight at most; 32.
    pub max_in_flight: usize,
    /// How long one attempt may take, PortaBilling's answers included; 2 min.
    pub attempt_max: Duration,
    /// How often it looks by itself, should nobody nudge; 5 s.
    pub tick: Duration,
    /// How long a shutdown waits for what is in flight; 30 s.
    pub drain: Duration,
    /// How long to wait after the store has failed.
    pub store_pause: StorePause,
    /// Whether `IN_PROGRESS` is written back when the first attempt starts; yes.
    pub announce: bool,
    /// What connectors may be asked at most, by their names; those that aren't named: the defaults.
    pub connectors: BTreeMap<String, GateSettings>,
    /// What PortaBilling may be asked at most. The number in flight is no more than the handlers that ask it have together;
    /// how many calls that makes at a time is the client's business.
    pub portabilling: GateSettings,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self {
            max_in_flight: 32,
            attempt_max: Duration::from_secs(120),
            tick: Duration::from_secs(5),
            drain: Duration::from_secs(30),
            store_pause: StorePause::default(),
            announce: true,
            connectors: BTreeMap::new(),
            portabilling: GateSettings { max_in_flight: usize::MAX, ..GateSettings::default() },
        }
    }
}

/// Pauses after the store has failed: they double, and start again once it works.
#[derive(Debug, Clone, Copy)]
pub struct StorePause {
    /// The first; 50 ms.
    pub first: Duration,
    /// The longest; 5 s.
    pub longest: Duration,
}

impl Default for StorePause {
    fn default() -> Self {
        Self { first: Duration::from_millis(50), longest: Duration::from_secs(5) }
    }
}

impl StorePause {
    /// This pause; afterwards the first is the next.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.first.min(self.longest);
        self.first = pause.saturating_mul(2);
        pause
    }
}
