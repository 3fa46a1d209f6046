//! Forgets what is old enough, a bounded part at a time.
//!
//! Events lie in the order of their acceptance, and attempts in that of their end, so it goes on where it stopped: the places
//! are kept as notes.

use rusqlite::{Connection, params};

use super::batch::Batch;
use super::control::{note, put_note};
use super::{filing, row};
use crate::event::SubjectKind;
use crate::store::control::Part;
use crate::store::{Prune, Pruned, StoreError};

const EVENTS: &str = "prune.events";
const BODIES: &str = "prune.bodies";

pub(super) fn prune(db: &Batch, prune: &Prune) -> Result<Pruned, StoreError> {
    filing::file(db)?;
    let (events, more_events) = events(db, prune)?;
    let (bodies, more_bodies) = bodies(db, prune)?;
    Ok(Pruned { events, bodies, more: more_events || more_bodies })
}

fn place(db: &Connection, name: &str) -> Result<i64, StoreError> {
    Ok(note(db, name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Those that are still needed stay behind, and are looked at again when the rest has been done.
fn events(db: &Batch, prune: &Prune) -> Result<(u64, bool), StoreError> {
    let from = place(db, EVENTS)?;
    let limit = i64::try_from(prune.limit).unwrap_or(i64::MAX);
    let found = db
        .prepare_cached("SELECT seq, received_at FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
        .query_map([from, limit], |row| Ok((row.get(0)?, row::time(row.get(1)?)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    let Part { old, seen, more } = prune.old(&found, prune.events_before);
    let mut forgotten = 0;
    for seq in old {
        forgotten += u64::from(forget(db, seq)?);
    }
    let next = seen.filter(|_| more).unwrap_or(0);
    if next != from {
        put_note(db, EVENTS, &next.to_string())?;
    }
    Ok((forgotten, more))
}

/// Answers whether it did.
fn forget(db: &Batch, event: i64) -> Result<bool, StoreError> {
    let (first, last) = (event * row::DELIVERIES, event * row::DELIVERIES + row::DELIVERIES - 1);
    let deliveries = db
        .prepare_cached("SELECT seq, handler, state, open FROM delivery WHERE seq BETWEEN ?1 AND ?2")?
        .query_map([first, last], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row::state_word(row, 2)?,
                row.get::<_, bool>(3)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    if deliveries.iter().any(|(_, _, _, open)| *open) {
        return Ok(false);
    }
    forget_last(db, event, &deliveries.iter().map(|(_, handler, ..)| handler.as_str()).collect::<Vec<_>>())?;
    for (seq, handler, state, _) in &deliveries {
        db.prepare_cached("DELETE FROM attempt WHERE delivery = ?1")?.execute([seq])?;
        db.prepare_cached("DELETE FROM delivery WHERE seq = ?1")?.execute([seq])?;
        db.count(handler, state, -1);
    }
    db.prepare_cached("DELETE FROM event WHERE seq = ?1")?.execute([event])?;
    Ok(true)
}

/// What was delivered last lives as long as its subject: until an event says that that is gone. One that can come back has
/// done so if an event came after.
fn forget_last(db: &Connection, event: i64, handlers: &[&str]) -> Result<(), StoreError> {
    let (event_type, kind, id): (String, String, String) = db
        .prepare_cached("SELECT event_type, subject_kind, subject_id FROM event WHERE seq = ?1")?
        .query_row([event], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let ends = SubjectKind::from_word(&kind).filter(|kind| kind.is_ended_by(&event_type));
    let Some(subject) = ends else { return Ok(()) };
    let mut newer = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM event WHERE subject_id = ?1 AND seq > ?2 AND subject_kind = ?3)",
    )?;
    if subject.comes_back() && newer.query_row(params![id, event, kind], |row| row.get(0))? {
        return Ok(());
    }
    for handler in handlers {
        db.prepare_cached(
            "DELETE FROM last_delivered WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3",
        )?
        .execute(params![handler, kind, id])?;
    }
    Ok(())
}

fn bodies(db: &Batch, prune: &Prune) -> Result<(u64, bool), StoreError> {
    let kept = place(db, BODIES)?;
    let highest: Option<i64> =
        db.prepare_cached("SELECT max(rowid) FROM attempt")?.query_row([], |row| row.get(0))?;
    // Numbers begin anew when all attempts have been forgotten.
    let from = if highest.unwrap_or(0) < kept { 0 } else { kept };
    let limit = i64::try_from(prune.limit).unwrap_or(i64::MAX);
    let found = db
        .prepare_cached("SELECT rowid, ended_at FROM attempt WHERE rowid > ?1 ORDER BY rowid LIMIT ?2")?
        .query_map([from, limit], |row| Ok((row.get(0)?, row::time(row.get(1)?)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    let Part { old, seen, more } = prune.old(&found, prune.bodies_before);
    let mut forgotten = 0;
    for rowid in &old {
        let changed = db
            .prepare_cached(
                "UPDATE attempt SET request = NULL, response = NULL, settled_body = NULL
                 WHERE rowid = ?1 AND coalesce(request, response, settled_body) IS NOT NULL",
            )?
            .execute([rowid])?;
        forgotten += u64::try_from(changed).unwrap_or(0);
    }
    let next = seen.unwrap_or(from);
    if next != kept {
        put_note(db, BODIES, &next.to_string())?;
    }
    Ok((forgotten, more))
}
