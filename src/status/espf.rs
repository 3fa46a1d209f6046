//! Statuses by PortaBilling's ESPF API.

use async_trait::async_trait;
use portabilling::client::{AccountStatus, Client};

use super::{SinkError, StatusSink};
use crate::chain::chain;
use crate::store::{Status, StatusValue};

/// PortaBilling's ESPF API as the place where statuses are written.
pub struct EspfApi {
    client: Client,
}

impl EspfApi {
    /// Writes through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl StatusSink for EspfApi {
    async fn write(&self, status: &Status) -> Result<(), SinkError> {
        let written = AccountStatus {
            i_account: status.i_account,
            status: word(status.value),
            group: &status.group,
            message: status.message.as_deref(),
        };
        self.client.set_account_status(&written).await.map_err(|error| SinkError {
            reason: chain(&error),
            retryable: error.may_work_later(),
            outage: error.is_outage(),
            after: error.retry_after(),
        })
    }
}

/// ESPF's word for it.
fn word(value: StatusValue) -> &'static str {
    match value {
        StatusValue::Ok => "OK",
        StatusValue::InProgress => "IN_PROGRESS",
        StatusValue::Retry => "RETRY",
        StatusValue::Failed => "FAILED",
    }
}
