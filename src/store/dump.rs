//! What moves from one store to another, whatever kinds they are: the tables and columns that say what happened.
//!
//! All stores have them under the same names. What only helps to find the next (lanes, counts, digests) is made anew on arrival.
//! Numbers and texts are written as they are, UUIDs and bytes as hexadecimal digits.

use serde_json::Value;

use super::{DumpRow, StoreError};

/// A table that is moved.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
}

/// A column, by what lies in it.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// A number of 16, 32 or 64 bits.
    Int2(&'static str),
    Int4(&'static str),
    Int(&'static str),
    Text(&'static str),
    /// A UUID.
    Id(&'static str),
    Bytes(&'static str),
}

pub(super) use Column::{Bytes, Id, Int, Int2, Int4, Text};

/// In an order in which what is referred to comes first.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "event",
        columns: &[
            Int("seq"),
            Id("id"),
            Text("source"),
            Int("i_env"),
            Int("i_event"),
            Text("event_type"),
            Text("subject_kind"),
            Text("subject_id"),
            Int("event_time"),
            Int("received_at"),
            Text("body"),
        ],
    },
    Table {
        name: "delivery",
        columns: &[
            Int("seq"),
            Text("handler"),
            Text("subject_kind"),
            Text("subject_id"),
            Int2("mode"),
            Text("state"),
            Int("at"),
            Text("reason"),
            Int4("attempts"),
            Int("accepted_at"),
            Int("rank"),
            Int4("tries"),
            Int("since"),
            Int4("claims"),
        ],
    },
    Table {
        name: "attempt",
        columns: &[
            Int("delivery"),
            Int4("number"),
            Int("started_at"),
            Int("ended_at"),
            Text("outcome"),
            Text("reason"),
            Int("after"),
            Text("request"),
            Text("response"),
            Text("class"),
            Int("within"),
            Int4("claim"),
            Int("settled_at"),
            Text("settled_outcome"),
            Text("settled_class"),
            Text("settled_reason"),
            Int("settled_after"),
            Text("settled_body"),
        ],
    },
    Table { name: "awaiting", columns: &[Int("delivery"), Int4("claim"), Int("deadline"), Text("pb_data")] },
    Table {
        name: "last_delivered",
        columns: &[Text("handler"), Text("subject_kind"), Text("subject_id"), Text("pb_data"), Int("at")],
    },
    Table {
        name: "status",
        columns: &[
            Int("i_account"),
            Text("service_group"),
            Text("value"),
            Text("message"),
            Int("at"),
            Int("version"),
            Int4("attempts"),
            Int("due"),
            Text("reason"),
            Int("written_at"),
        ],
    },
    Table {
        name: "sample",
        columns: &[Int("seq"), Text("source"), Int("received_at"), Text("reason"), Bytes("body")],
    },
    Table { name: "pause", columns: &[Text("scope"), Text("name"), Int("at"), Text("reason")] },
    Table {
        name: "breaker",
        columns: &[
            Text("name"),
            Text("state"),
            Int("since"),
            Int("until"),
            Int4("openings"),
            Text("reason"),
            Int("version"),
        ],
    },
    Table { name: "note", columns: &[Text("name"), Text("text")] },
];

impl Table {
    /// The one with this name.
    pub(super) fn named(name: &str) -> Result<&'static Self, StoreError> {
        let unknown = || StoreError::Rejected(format!("there is no table {name:?}"));
        TABLES.iter().find(|table| table.name == name).ok_or_else(unknown)
    }

    /// Which of its rows are moved, as a condition: how far pruning is is told by numbers that mean nothing elsewhere.
    pub(super) fn moved(&self) -> &'static str {
        match self.name {
            "note" => "name NOT LIKE 'prune.%'",
            _ => "true",
        }
    }
}

/// The same for a row that comes from elsewhere: older programs gave all.
pub(super) fn is_moved(row: &DumpRow) -> bool {
    row.table != "note" || !word(row, "name").is_ok_and(|name| name.starts_with("prune."))
}

impl Column {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Int(name) | Int2(name) | Int4(name) | Text(name) | Id(name) | Bytes(name) => name,
        }
    }

    pub(super) const fn is_number(self) -> bool {
        matches!(self, Int(_) | Int2(_) | Int4(_))
    }

    /// What a row has in it.
    pub(super) fn of(self, row: &DumpRow) -> &Value {
        row.columns.get(self.name()).unwrap_or(&Value::Null)
    }

    /// What a row has in it isn't what it should be.
    pub(super) fn wrong(self) -> StoreError {
        StoreError::Rejected(format!("{} isn't what such a column holds", self.name()))
    }
}

/// Columns, each as `each` says it.
pub(super) fn list(columns: &[Column], each: impl Fn(Column) -> String) -> String {
    columns.iter().map(|column| each(*column)).collect::<Vec<_>>().join(", ")
}

pub(super) fn word<'r>(row: &'r DumpRow, column: &str) -> Result<&'r str, StoreError> {
    let found = row.columns.get(column).and_then(Value::as_str);
    found.ok_or_else(|| StoreError::Rejected(format!("a row of {} without {column}", row.table)))
}

/// Whether this delivery holds its place in its lane; `strict`: what the mode of one is whose order is strict.
pub(super) fn holds(row: &DumpRow, strict: i64) -> Result<bool, StoreError> {
    Ok(match word(row, "state")? {
        "pending" | "in_flight" | "awaiting" => true,
        "parked" => row.columns.get("mode").and_then(Value::as_i64) == Some(strict),
        _ => false,
    })
}
