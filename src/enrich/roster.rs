//! Who there is, according to PortaBilling: its list of accounts, page by page.

use async_trait::async_trait;
use portabilling::account::{GetAccountList, GetAccountListRequest};
use portabilling::client::{Paged, Portion};
use portabilling::types::AccountInfo;

use super::EnrichError;
use super::portabilling::{PortaBilling, failed};

/// A way to PortaBilling's list of accounts.
#[async_trait]
pub trait Roster: Send + Sync + 'static {
    /// The accounts after the first `offset`, at most `limit`, in whatever order PortaBilling has them.
    async fn accounts(&self, offset: u64, limit: usize) -> Result<RosterPage, EnrichError>;
}

/// A part of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RosterPage {
    /// Who is on it; empty at the end.
    pub accounts: Vec<Listed>,
    /// How many there are in all, where the answer says so.
    pub total: Option<u64>,
}

/// An account in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub i_account: i64,
    /// Whether it has been closed for good; some lists have those, too.
    pub closed: bool,
}

#[async_trait]
impl Roster for PortaBilling {
    async fn accounts(&self, offset: u64, limit: usize) -> Result<RosterPage, EnrichError> {
        let mut request =
            GetAccountListRequest { get_not_closed_accounts: Some(1), ..GetAccountListRequest::default() };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).clamp(1, GetAccountList::CAP);
        GetAccountList::ask(&mut request, limit, i64::try_from(offset).unwrap_or(i64::MAX));
        let answer = self.client().call::<GetAccountList>(&request).await.map_err(|error| failed(&error))?;
        let Portion { items, total } = GetAccountList::read(answer);
        let total = total.and_then(|total| u64::try_from(total).ok());
        Ok(RosterPage { accounts: items.iter().filter_map(listed).collect(), total })
    }
}

fn listed(account: &AccountInfo) -> Option<Listed> {
    // "C": closed
    Some(Listed { i_account: account.i_account?, closed: account.bill_status.as_deref() == Some("C") })
}
