//! Several sites of one PortaBilling: which is asked, and when another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Settings;
use super::session::Sessions;

/// A site with its sessions, which are good nowhere else.
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) sessions: Sessions,
    /// Until when it isn't asked, in milliseconds since the client was made.
    avoided_until: AtomicU64,
}

/// The sites in the order in which they are asked.
pub(crate) struct Sites {
    sites: Vec<Arc<Site>>,
    pause: Duration,
    since: Instant,
}

impl Sites {
    pub(crate) fn new(settings: &Settings) -> Self {
        let urls = std::iter::once(&settings.url).chain(&settings.other_urls);
        let site = |url: &String| {
            Arc::new(Site {
                url: url.trim_end_matches('/').to_string(),
                sessions: Sessions::new(settings),
                avoided_until: AtomicU64::new(0),
            })
        };
        Self { sites: urls.map(site).collect(), pause: settings.site_pause, since: Instant::now() }
    }

    /// The first that isn't avoided; if all are, the one whose pause ends first.
    pub(crate) fn active(&self) -> Arc<Site> {
        let now = self.now();
        let until = |site: &&Arc<Site>| site.avoided_until.load(Ordering::Relaxed);
        let first = self.sites.iter().find(|site| until(site) <= now);
        Arc::clone(first.or_else(|| self.sites.iter().min_by_key(until)).unwrap_or(&self.sites[0]))
    }

    /// From now on another is asked, for a while; false if there is no other that isn't avoided.
    pub(crate) fn avoid(&self, site: &Site) -> bool {
        if self.sites.len() == 1 {
            return false;
        }
        let pause = u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX);
        let now = self.now();
        site.avoided_until.store(now.saturating_add(pause), Ordering::Relaxed);
        self.sites.iter().any(|other| other.avoided_until.load(Ordering::Relaxed) <= now)
    }

    pub(crate) fn len(&self) -> usize {
        self.sites.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.sites.iter()
    }

    fn now(&self) -> u64 {
        // 0 means never
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Credentials;
    use super::*;

    #[test]
    fn a_site_that_fails_is_left_for_a_while_and_taken_again() {
        let mut settings = Settings::new("https://a", Credentials::password("u", "p"));
        settings.other_urls = vec!["https://b/".into()];
        settings.site_pause = Duration::from_secs(60);
        let sites = Sites::new(&settings);
        assert_eq!(sites.active().url, "https://a");
        assert!(sites.avoid(&sites.active()));
        assert_eq!(sites.active().url, "https://b");
        assert!(!sites.avoid(&sites.active()), "all are avoided");
        assert_eq!(sites.active().url, "https://a", "its pause ends first");

        settings.site_pause = Duration::ZERO;
        let sites = Sites::new(&settings);
        sites.avoid(&sites.active());
        assert_eq!(sites.active().url, "https://a", "the pause is over");
        settings.other_urls.clear();
        let sites = Sites::new(&settings);
        assert!(!sites.avoid(&sites.active()));
    }
}
