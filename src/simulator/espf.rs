//! The ESPF API of the simulator: provisioning statuses and service groups.

use serde_json::{Value, json};

use super::world::{World, WrittenStatus};

/// The fields of a status, from a form or from JSON.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct StatusBody {
    status: Option<String>,
    group: Option<String>,
    message: Option<String>,
}

impl StatusBody {
    /// Reads the body by its media type; PortaOne's guides show both.
    pub(super) fn read(content_type: &str, body: &[u8]) -> Result<Self, String> {
        if content_type.starts_with("application/json") {
            serde_json::from_slice(body).map_err(|error| error.to_string())
        } else {
            serde_urlencoded::from_bytes(body).map_err(|error| error.to_string())
        }
    }
}

/// Writes a status; the answer is an HTTP status and a body.
pub(super) fn write_status(world: &mut World, i_account: Option<i64>, body: StatusBody) -> (u16, Value) {
    let Some(i_account) = i_account.filter(|id| world.has_ever_been(*id)) else {
        return (404, json!({ "error": "account not found" }));
    };
    let Some(status) =
        body.status.filter(|status| ["OK", "IN_PROGRESS", "RETRY", "FAILED"].contains(&status.as_str()))
    else {
        return (400, json!({ "error": "status must be OK, IN_PROGRESS, RETRY or FAILED" }));
    };
    let Some(group) = body.group.filter(|group| world.groups.values().any(|known| known == group)) else {
        return (400, json!({ "error": "group is not registered" }));
    };
    if body.message.as_ref().is_some_and(|message| message.chars().count() > 4000) {
        return (400, json!({ "error": "message is longer than 4000 characters" }));
    }
    let written = world.statuses.entry((i_account, group)).or_insert_with(|| WrittenStatus {
        status: String::new(),
        message: None,
        times: 0,
    });
    *written = WrittenStatus { status, message: body.message, times: written.times + 1 };
    (200, json!({}))
}

/// The service groups, with the loose types of PortaOne's own sample.
pub(super) fn groups(world: &World) -> Value {
    let list: Vec<Value> = world
        .groups
        .iter()
        .map(|(id, name)| json!({ "i_group": id.to_string(), "name": name, "is_custom": *id >= 1000 }))
        .collect();
    json!({ "group_list": list })
}

/// Takes an event into the queue, for now or later.
pub(super) fn insert_event(world: &mut World, body: &[u8]) -> (u16, Value) {
    match serde_json::from_slice::<Value>(body) {
        Ok(event) if event["event_type"].is_string() && event["variables"].is_object() => {
            world.inserted.push(event);
            (200, json!({ "i_event": world.inserted.len() }))
        }
        _ => (400, json!({ "error": "event_type and variables are mandatory" })),
    }
}

/// Registers a group.
pub(super) fn create_group(world: &mut World, name: Option<String>) -> (u16, Value) {
    match name.filter(|name| !name.is_empty() && name.chars().count() <= 64) {
        Some(name) => {
            let id = world.groups.last_key_value().map_or(1000, |(last, _)| last.max(&1000) + 1);
            world.groups.insert(id, name.clone());
            (200, json!({ "i_group": id, "name": name }))
        }
        None => (400, json!({ "error": "name must have 1 to 64 characters" })),
    }
}
