//! Brings the tables up to what has happened: each event gets its indexes and its deliveries, each delivery its attempts.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::batch::Batch;
use super::entry::Addressed;
use super::inbox::{Progress, ToFile};
use super::lane::{self, Lane, Place};
use super::statuses::Told;
use super::{claim, record, row};
use crate::delivery::State;
use crate::event::{Event, EventId};
use crate::store::{Record, StoreError, Subscription};

/// By its id as well: an event that is offered once more after an error is the same one.
pub(super) const SAME_EVENT: &str = "\
    SELECT id FROM event WHERE id = ?1
    UNION ALL
    SELECT id FROM event WHERE i_event = ?2 AND source = ?3 AND event_type = ?4 AND subject_kind = ?5
        AND subject_id = ?6 AND coalesce(i_env, -1) = coalesce(?7, -1)
    LIMIT 1";

/// The same event among what is filed.
pub(super) fn same_filed(db: &Connection, event: &Event) -> Result<Option<EventId>, StoreError> {
    let found: Option<[u8; 16]> = db
        .prepare_cached(SAME_EVENT)?
        .query_row(
            params![
                event.id.0.as_bytes(),
                event.i_event,
                event.source,
                event.event_type,
                event.subject.kind.as_str(),
                event.subject.id,
                event.i_env,
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.map(|id| EventId(uuid::Uuid::from_bytes(id))))
}

/// Files all that there is.
pub(super) fn file(db: &Batch) -> Result<(), StoreError> {
    file_part(db, i64::MAX, usize::MAX)
}

/// Files the first `limit` entries.
pub(super) fn file_some(db: &Batch, limit: usize) -> Result<(), StoreError> {
    file_part(db, i64::MAX, limit)
}

/// Files the first `limit` attempts that others wait for, and leaves alone what comes between them: it will wait behind what they
/// are about, and once events are filed before they are claimed, so are those that come next. Only one that is to be made again
/// may have to give way to what came before that was said. After a crash they are found again in the journal, and in the tables.
pub(super) fn file_late(db: &Batch, limit: usize) -> Result<(), StoreError> {
    let late = db.inbox.late(limit);
    let needs = late.iter().map(|(number, record)| match record.state {
        State::Pending { .. } => *number,
        _ => row::delivery_seq(record.delivery) / row::DELIVERIES,
    });
    if let Some(last) = needs.max().filter(|last| *last > db.filed()) {
        file_part(db, last, usize::MAX)?;
    }
    for (number, record) in late {
        catch_up(db, number, &record)?;
    }
    Ok(())
}

/// Files the attempt with this number, unless this transaction has.
fn catch_up(db: &Batch, number: i64, record: &Record) -> Result<(), StoreError> {
    if db.begins_to_catch_up(number) { record::catch_up(db, record, Told::Journal(number)) } else { Ok(()) }
}

/// Files what a gateway left behind that died.
pub(super) fn file_what_is_left(db: &Batch) -> Result<(), StoreError> {
    db.leave(db.inbox.left());
    db.inbox.fly(unfiled_claims(db)?, Vec::new());
    file(db)?;
    db.leave(HashMap::new());
    db.inbox.opened();
    Ok(())
}

fn file_part(db: &Batch, to: i64, limit: usize) -> Result<(), StoreError> {
    let Some((last, entries)) = db.inbox.to_file(db.filed(), to, limit) else { return Ok(()) };
    write_filed(db, last)?;
    db.prepare_cached("DELETE FROM unfiled_claim WHERE delivery < ?1")?
        .execute([(last + 1) * row::DELIVERIES])?;
    for entry in entries {
        match entry {
            ToFile::Event(seq, event, progress) => file_event(db, seq, &event, &progress)?,
            ToFile::Attempt(number, record) => catch_up(db, number, &record)?,
        }
    }
    Ok(())
}

fn write_filed(db: &Batch, number: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE inbox SET filed = ?1")?.execute([number])?;
    db.set_filed(number);
    Ok(())
}

/// What was claimed and not filed when the gateway died, with the time of the claim.
fn unfiled_claims(db: &Connection) -> Result<HashMap<i64, Timestamp>, StoreError> {
    let mut all = db.prepare("SELECT delivery, at FROM unfiled_claim")?;
    let claims = all.query_map([], |row| Ok((row.get(0)?, row::time(row.get(1)?)?)))?;
    Ok(claims.collect::<Result<_, _>>()?)
}

/// `OR FAIL`, since an error undoes the whole transaction: else SQLite copies each page to be able to undo the statement.
const INSERT_EVENT: &str = "\
    INSERT OR FAIL INTO event (seq, id, source, i_env, i_event, event_type, subject_kind, subject_id, event_time,
        received_at, body)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

fn file_event(
    db: &Batch,
    seq: i64,
    (event, handlers): &Addressed,
    progress: &[Progress],
) -> Result<(), StoreError> {
    let received_at = row::micros(event.received_at);
    let (kind, id) = (event.subject.kind.as_str(), &event.subject.id);
    db.prepare_cached(INSERT_EVENT)?.execute(params![
        seq,
        event.id.0.as_bytes(),
        event.source,
        event.i_env,
        event.i_event,
        event.event_type,
        kind,
        id,
        event.event_time.map(row::micros),
        received_at,
        event.body,
    ])?;
    let numbered = (seq * row::DELIVERIES..).zip(handlers).zip(progress);
    for ((seq, Subscription { handler, order, rank }), progress) in numbered {
        let lane = Lane { handler, kind, id };
        let place = Place { seq, rank: row::micros(*rank), order: *order };
        match progress {
            Progress::None => file_delivery(db, lane, place, event, db.taken(seq))?,
            Progress::Taken(at) => file_delivery(db, lane, place, event, Some(*at))?,
            Progress::Delivered(number, record) => {
                record::insert_delivered(db, lane, place, event, record, Told::Journal(*number))?;
            }
        }
    }
    Ok(())
}

fn file_delivery(
    db: &Batch,
    lane: Lane<'_>,
    place: Place,
    event: &Event,
    taken: Option<Timestamp>,
) -> Result<(), StoreError> {
    if !lane::insert(db, lane, place, event.id, event.received_at, event.received_at)? {
        lane::hurry(db, lane, event.received_at)?;
    }
    match taken {
        Some(at) => claim::take(db, place.seq, lane.handler, at),
        None => Ok(()),
    }
}
