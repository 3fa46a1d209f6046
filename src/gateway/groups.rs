//! Whether PortaBilling knows the service groups that statuses are written for: ESPF refuses the others, one by one.

use std::collections::BTreeSet;

use portabilling::client::{Client, ServiceGroup};

use crate::chain::chain;

/// Asks once, when the gateway starts, and tells the operator. A group may be made at any time, so nothing else follows.
pub(super) async fn check(client: Client, wanted: Vec<String>) {
    if wanted.is_empty() {
        return;
    }
    match client.service_groups().await {
        Ok(known) => {
            for group in missing(&wanted, &known) {
                tracing::error!(
                    group,
                    "PortaBilling has no such service group, and will refuse its statuses; create it there, or correct \
                     `service_group`"
                );
            }
        }
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "it isn't known whether PortaBilling has the service groups"
            );
        }
    }
}

fn missing<'w>(wanted: &'w [String], known: &[ServiceGroup]) -> BTreeSet<&'w str> {
    let is_known = |group: &str| known.iter().any(|one| one.name == group);
    wanted.iter().map(String::as_str).filter(|group| !is_known(group)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_portabilling_does_not_know_is_named_once() {
        let group = |name: &str| ServiceGroup { i_group: None, name: name.into(), is_custom: false };
        let wanted = ["HSS", "IOT", "IOT", "hss"].map(str::to_owned);
        assert_eq!(missing(&wanted, &[group("HSS"), group("VoIP")]), BTreeSet::from(["IOT", "hss"]));
    }
}
