//! Who there is, according to PortaBilling: its lists of accounts and customers, page by page.

use async_trait::async_trait;
use portabilling::account::{GetAccountList, GetAccountListRequest};
use portabilling::client::{Paged, Portion};
use portabilling::customer::{GetCustomerList, GetCustomerListRequest};

use super::EnrichError;
use super::portabilling::{PortaBilling, failed};
use crate::handler::Walked;

/// A way to PortaBilling's lists.
#[async_trait]
pub trait Roster: Send + Sync + 'static {
    /// Those of the list after the first `offset`, at most `limit`, in whatever order PortaBilling has them.
    async fn page(&self, walked: Walked, offset: u64, limit: usize) -> Result<RosterPage, EnrichError>;
}

/// A part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RosterPage {
    /// Who is on it; empty at the end.
    pub listed: Vec<Listed>,
    /// How many there are in all, where the answer says so.
    pub total: Option<u64>,
}

/// One in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub number: i64,
    /// Whether it has been closed for good; some lists have those, too.
    pub closed: bool,
}

#[async_trait]
impl Roster for PortaBilling {
    async fn page(&self, walked: Walked, offset: u64, limit: usize) -> Result<RosterPage, EnrichError> {
        match walked {
            Walked::Accounts => {
                let request = GetAccountListRequest {
                    get_not_closed_accounts: Some(1),
                    ..GetAccountListRequest::default()
                };
                let Portion { items, total } = self.portion::<GetAccountList>(request, offset, limit).await?;
                let items = items.iter();
                Ok(read(items.map(|account| (account.i_account, account.bill_status.as_deref())), total))
            }
            Walked::Customers => {
                let request = GetCustomerListRequest::default();
                let Portion { items, total } =
                    self.portion::<GetCustomerList>(request, offset, limit).await?;
                let items = items.iter();
                Ok(read(items.map(|customer| (customer.i_customer, customer.bill_status.as_deref())), total))
            }
        }
    }
}

impl PortaBilling {
    async fn portion<L: Paged>(
        &self,
        mut request: L::Request,
        offset: u64,
        limit: usize,
    ) -> Result<Portion<L::Item>, EnrichError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).clamp(1, L::CAP);
        L::ask(&mut request, limit, i64::try_from(offset).unwrap_or(i64::MAX));
        Ok(L::read(self.client().call::<L>(&request).await.map_err(|error| failed(&error))?))
    }
}

fn read<'a>(items: impl Iterator<Item = (Option<i64>, Option<&'a str>)>, total: Option<i64>) -> RosterPage {
    // "C": closed
    let listed = |(number, status): (Option<i64>, Option<&str>)| {
        Some(Listed { number: number?, closed: status == Some("C") })
    };
    RosterPage {
        listed: items.filter_map(listed).collect(),
        total: total.and_then(|total| u64::try_from(total).ok()),
    }
}
