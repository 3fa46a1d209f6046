//! When a call is made again: after a new login, at another site, or because it certainly did no harm.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::SemaphorePermit;

use super::auth::Proof;
use super::session::{Login, Session};
use super::settings::AuthInfo;
use super::site::Site;
use super::{Cause, Client};

/// What a call needs to say who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: a login.
    Nothing,
    /// Login and secret, which the caller adds itself.
    Secret,
    /// What the settings say.
    Proof,
    /// The access token of a session.
    Token,
}

/// The attempts of one call; it keeps its place among the calls under way for all of them.
pub(crate) struct Attempts<'c> {
    client: &'c Client,
    needs: Needs,
    only_reads: bool,
    place: Option<SemaphorePermit<'c>>,
    logged_in_again: bool,
    sent_again: usize,
    sites_left: usize,
}

/// Where and with what the next attempt goes.
pub(crate) struct Turn {
    pub(crate) site: Arc<Site>,
    pub(crate) proof: Proof,
    pub(crate) session: Option<Arc<Session>>,
    login: Option<Arc<Login>>,
}

impl Client {
    /// Sends it until it is answered, or shouldn't be sent again.
    pub(crate) async fn attempt<T, F>(
        &self,
        needs: Needs,
        only_reads: bool,
        mut send: impl FnMut(Arc<Turn>) -> F,
    ) -> Result<T, Cause>
    where
        F: Future<Output = Result<T, Cause>>,
    {
        let mut attempts = Attempts::new(self, needs, only_reads);
        loop {
            let turn = Arc::new(attempts.next().await?);
            match send(Arc::clone(&turn)).await {
                Ok(answer) => return Ok(answer),
                Err(cause) => attempts.after(&turn, cause).await?,
            }
        }
    }
}

impl<'c> Attempts<'c> {
    pub(crate) fn new(client: &'c Client, needs: Needs, only_reads: bool) -> Self {
        let sites_left = client.inner.sites.len() - 1;
        Self { client, needs, only_reads, place: None, logged_in_again: false, sent_again: 0, sites_left }
    }

    pub(crate) async fn next(&mut self) -> Result<Turn, Cause> {
        if self.place.is_none() {
            self.place = Some(self.client.inner.pace.place().await?);
        }
        loop {
            let site = self.client.inner.sites.active();
            let without =
                Turn { site: Arc::clone(&site), proof: Proof::default(), session: None, login: None };
            match self.needs {
                Needs::Nothing => return Ok(without),
                Needs::Secret | Needs::Proof if self.is_inline() => {
                    site.sessions.may_go_inline(Instant::now())?;
                    return Ok(Turn { proof: self.client.proof(&Session::default()), ..without });
                }
                Needs::Secret | Needs::Proof | Needs::Token => {}
            }
            match self.client.session(&site).await {
                Ok((session, login)) => {
                    let proof = self.client.proof(&session);
                    return Ok(Turn { proof, session: Some(session), login: Some(login), ..without });
                }
                Err(cause) if cause.asks_for_another_site() && self.leave(&site) => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Whether to go on with another [`Self::next`]; if not, the cause is the end.
    pub(crate) async fn after(&mut self, turn: &Turn, cause: Cause) -> Result<(), Cause> {
        if let Some(login) = &turn.login
            && cause.asks_for_login()
            && self.client.settings().credentials.secret.can_log_in()
            && !self.logged_in_again
        {
            tracing::debug!(%cause, "the session has ended; logging in again");
            turn.site.sessions.discard(login);
            self.logged_in_again = true;
            return Ok(());
        }
        if self.is_inline() {
            turn.site.sessions.failed_inline(&cause);
        }
        if cause.asks_for_another_site() && self.leave(&turn.site) {
            return Ok(());
        }
        if cause.may_be_sent_again(self.only_reads) && self.sent_again < self.client.settings().retries {
            self.sent_again += 1;
            tracing::debug!(%cause, "sending it again");
            tokio::time::sleep(self.client.settings().retry_pause).await;
            return Ok(());
        }
        Err(cause)
    }

    /// Whether the call bears login and secret itself.
    fn is_inline(&self) -> bool {
        match self.needs {
            Needs::Secret => true,
            Needs::Proof => self.client.settings().auth_info == AuthInfo::Inline,
            Needs::Nothing | Needs::Token => false,
        }
    }

    fn leave(&mut self, site: &Site) -> bool {
        let left = self.client.inner.sites.avoid(site) && self.sites_left > 0;
        if left {
            self.sites_left -= 1;
            tracing::warn!(site = site.url, "the site can't serve; asking the next");
        }
        left
    }
}
