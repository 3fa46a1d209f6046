//! What has happened, as an entry of the journal: an event that was accepted, or an attempt that was recorded. An event is a line
//! of JSON with its body behind it as it came, an attempt JSON behind a letter.

mod recorded;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::row;
use crate::event::{Event, EventId, Subject, SubjectKind};
use crate::store::{Record, StoreError, Subscription};

/// An event with those that it is for.
pub(super) type Addressed = (Event, Vec<Subscription>);

/// What has happened.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// An event was accepted; the entry's number is the event's.
    Accepted(Arc<Addressed>),
    /// An attempt has ended. `seen` is that of its claim: the power may have taken that, and then this says what came first.
    Recorded { record: Arc<Record>, seen: i64 },
}

/// Begins an attempt; an event begins with its line.
const RECORDED: u8 = b'R';

impl Entry {
    /// Its bytes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Accepted(event) => encode_event(event),
            Self::Recorded { record, seen } => encode_attempt(record, *seen),
        }
    }

    /// What [`Self::encode`] was given.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        Self::read(bytes).ok_or_else(|| {
            StoreError::Failed(
                "the inbox has an entry that this program can't read: start the one that wrote it".into(),
            )
        })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(match bytes.split_first()? {
            (&RECORDED, rest) => {
                let (record, seen) = serde_json::from_slice::<recorded::Line<'_>>(rest).ok()?.read()?;
                Self::Recorded { record: Arc::new(record), seen }
            }
            _ => Self::Accepted(Arc::new(read_event(bytes)?)),
        })
    }
}

fn encode_attempt(record: &Record, seen: i64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(512);
    bytes.push(RECORDED);
    serde_json::to_writer(&mut bytes, &recorded::Line::new(record, seen))
        .map_err(|error| StoreError::Rejected(error.to_string()))?;
    Ok(bytes)
}

#[derive(Serialize, Deserialize)]
struct Line<'e> {
    id: Uuid,
    source: Cow<'e, str>,
    i_env: Option<i64>,
    i_event: Option<i64>,
    event_type: Cow<'e, str>,
    subject_kind: Cow<'e, str>,
    subject_id: Cow<'e, str>,
    event_time: Option<i64>,
    received_at: i64,
    /// Each with its order and rank.
    handlers: Vec<(Cow<'e, str>, i64, i64)>,
}

fn encode_event((event, handlers): &Addressed) -> Result<Vec<u8>, StoreError> {
    let handlers =
        handlers.iter().map(|one| (Cow::from(&one.handler), row::mode(one.order), row::micros(one.rank)));
    let line = Line {
        id: event.id.0,
        source: (&event.source).into(),
        i_env: event.i_env,
        i_event: event.i_event,
        event_type: (&event.event_type).into(),
        subject_kind: event.subject.kind.as_str().into(),
        subject_id: (&event.subject.id).into(),
        event_time: event.event_time.map(row::micros),
        received_at: row::micros(event.received_at),
        handlers: handlers.collect(),
    };
    let mut bytes = Vec::with_capacity(512 + event.body.len());
    serde_json::to_writer(&mut bytes, &line).map_err(|error| StoreError::Rejected(error.to_string()))?;
    bytes.push(b'\n');
    bytes.extend_from_slice(event.body.as_bytes());
    Ok(bytes)
}

fn read_event(bytes: &[u8]) -> Option<Addressed> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line: Line<'_> = serde_json::from_slice(&bytes[..end]).ok()?;
    let event = Event {
        id: EventId(line.id),
        source: line.source.into_owned(),
        i_env: line.i_env,
        i_event: line.i_event,
        event_type: line.event_type.into_owned(),
        subject: Subject {
            kind: SubjectKind::from_word(&line.subject_kind)?,
            id: line.subject_id.into_owned(),
        },
        event_time: line.event_time.map(row::time).transpose().ok()?,
        received_at: row::time(line.received_at).ok()?,
        body: String::from_utf8(bytes[end + 1..].to_vec()).ok()?,
    };
    let handler = |(handler, mode, rank): (Cow<'_, str>, i64, i64)| {
        Some(Subscription {
            handler: handler.into_owned(),
            order: row::order(mode).ok()?,
            rank: row::time(rank).ok()?,
        })
    };
    Some((event, line.handlers.into_iter().map(handler).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Order;

    fn addressed() -> Addressed {
        let event = Event {
            id: EventId(Uuid::from_u128(7)),
            source: "a \"b\"\n".into(),
            i_env: Some(3),
            i_event: None,
            event_type: "SIM/Replaced".into(),
            subject: Subject { kind: SubjectKind::Did, id: "+0049\u{1f600}".into() },
            event_time: None,
            received_at: row::time(1_795_000_000_000_001).expect("a time"),
            body: "{\n\"a\":\t\"\\u0000ü\"}\n".into(),
        };
        let rank = row::time(1_795_000_000_000_000).expect("a time");
        let to = |handler: &str, order| Subscription { handler: handler.into(), order, rank };
        (event, vec![to("a", Order::Skip), to("ü\"", Order::Strict), to("b", Order::Latest)])
    }

    fn again(entry: &Entry) -> Entry {
        Entry::decode(&entry.encode().expect("written")).expect("read")
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let nobody = (addressed().0, Vec::new());
        for event in [addressed(), nobody] {
            let Entry::Accepted(read) = again(&Entry::Accepted(Arc::new(event.clone()))) else {
                panic!("an event")
            };
            assert_eq!(*read, event);
        }
    }

    #[test]
    fn an_entry_of_another_kind_is_an_error() {
        for bytes in [&b""[..], b"{}", b"{}\n", b"[1]\nx", b"R", b"R{}", b"X{}"] {
            assert!(matches!(Entry::decode(bytes), Err(StoreError::Failed(_))));
        }
    }
}
