//! What an operator asks: pages of events, one event whole, how much waits.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::row::{self, delivery_columns, event_columns};
use crate::delivery::{Attempt, Delivery};
use crate::event::{EventId, SubjectKind};
use crate::store::{
    Backlog, DeliveryDetail, EventDetail, EventSummary, KeptSample, Page, Sample, StoreError,
};

pub(super) fn events(db: &Connection, page: &Page) -> Result<Vec<EventSummary>, StoreError> {
    let before = match page.before {
        Some(id) => match seq_of(db, id)? {
            Some(seq) => seq,
            None => return Ok(Vec::new()),
        },
        None => row::EVENTS,
    };
    let seqs = match &page.state {
        Some(state) if is_all_that_is_asked(page) && state != "delivered" => {
            in_state(db, state, before, page.limit)?
        }
        _ => filtered(db, page, before)?,
    };
    let mut summaries = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let event = db.prepare_cached(BY_SEQ)?.query_row([seq], |row| row::event(row, 0))?;
        let deliveries = deliveries_of(db, seq)?.into_iter().map(|(_, delivery)| delivery).collect();
        summaries.push(EventSummary { event, deliveries });
    }
    Ok(summaries)
}

fn is_all_that_is_asked(page: &Page) -> bool {
    page.event_type.is_none() && page.subject.is_none() && page.kind.is_none() && page.handler.is_none()
}

const BY_SEQ: &str = concat!("SELECT ", event_columns!(), " FROM event e WHERE e.seq = ?1");

pub(super) fn seq_of(db: &Connection, id: EventId) -> Result<Option<i64>, StoreError> {
    Ok(db
        .prepare_cached("SELECT seq FROM event WHERE id = ?1")?
        .query_row([id.0.as_bytes()], |row| row.get(0))
        .optional()?)
}

/// The index on what isn't delivered goes by handler, so each handler's newest are looked up and merged.
fn in_state(db: &Connection, state: &str, before: i64, limit: usize) -> Result<Vec<i64>, StoreError> {
    let handlers = db
        .prepare_cached("SELECT handler FROM tally WHERE state = ?1 AND count > 0")?
        .query_map([state], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut newest = BTreeSet::new();
    let mut of_handler = db.prepare_cached(IN_STATE)?;
    for handler in handlers {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        for seq in of_handler.query_map(params![handler, state, before, limit], |row| row.get::<_, i64>(0))? {
            newest.insert(seq?);
        }
    }
    Ok(newest.into_iter().rev().take(limit).collect())
}

pub(super) const IN_STATE: &str = "\
    SELECT seq / 1024 FROM delivery
    WHERE handler = ?1 AND state = ?2 AND state <> 'delivered' AND seq < ?3 * 1024
    ORDER BY seq DESC LIMIT ?4";

fn filtered(db: &Connection, page: &Page, before: i64) -> Result<Vec<i64>, StoreError> {
    let mut sql = String::from("SELECT e.seq FROM event e WHERE e.seq < ?");
    let mut values = vec![Value::Integer(before)];
    let of_event = [
        (" AND e.subject_id = ?", page.subject.as_deref()),
        // the kinds are few, and the index goes by the id
        (" AND +e.subject_kind = ?", page.kind.map(SubjectKind::as_str)),
        (" AND e.event_type = ?", page.event_type.as_deref()),
    ];
    and(&mut sql, &mut values, &of_event);
    if page.state.is_some() || page.handler.is_some() {
        // one delivery must be both
        let of_delivery =
            [(" AND d.state = ?", page.state.as_deref()), (" AND +d.handler = ?", page.handler.as_deref())];
        sql.push_str(SOME_DELIVERY);
        and(&mut sql, &mut values, &of_delivery);
        sql.push(')');
    }
    sql.push_str(" ORDER BY e.seq DESC LIMIT ?");
    values.push(Value::Integer(i64::try_from(page.limit).unwrap_or(i64::MAX)));
    let mut statement = db.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    Ok(found.collect::<Result<Vec<_>, _>>()?)
}

const SOME_DELIVERY: &str =
    " AND EXISTS (SELECT 1 FROM delivery d WHERE d.seq BETWEEN e.seq * 1024 AND e.seq * 1024 + 1023";

fn and(sql: &mut String, values: &mut Vec<Value>, filters: &[(&str, Option<&str>)]) {
    for (condition, value) in filters {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(Value::Text((*value).to_owned()));
        }
    }
}

const DELIVERIES_OF: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM event e JOIN delivery d ON d.seq BETWEEN e.seq * 1024 AND e.seq * 1024 + 1023
     WHERE e.seq = ?1 ORDER BY d.seq"
);

fn deliveries_of(db: &Connection, event: i64) -> Result<Vec<(i64, Delivery)>, StoreError> {
    let mut statement = db.prepare_cached(DELIVERIES_OF)?;
    let found = statement.query_map([event], row::delivery)?;
    Ok(found.collect::<Result<Vec<_>, _>>()?)
}

pub(super) fn event(db: &Connection, id: EventId) -> Result<Option<EventDetail>, StoreError> {
    let Some(seq) = seq_of(db, id)? else { return Ok(None) };
    let event = db.prepare_cached(BY_SEQ)?.query_row([seq], |row| row::event(row, 0))?;
    let mut deliveries = Vec::new();
    for (seq, delivery) in deliveries_of(db, seq)? {
        deliveries.push((delivery, attempts_of(db, seq)?));
    }
    Ok(Some(EventDetail { event, deliveries }))
}

fn attempts_of(db: &Connection, delivery: i64) -> Result<Vec<Attempt>, StoreError> {
    let sql = format!("SELECT {} FROM attempt WHERE delivery = ?1 ORDER BY number", row::ATTEMPT);
    let mut attempts = db.prepare_cached(&sql)?;
    let found = attempts.query_map([delivery], row::attempt)?;
    Ok(found.collect::<Result<Vec<_>, _>>()?)
}

const DELIVERY: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery d CROSS JOIN event e ON e.seq = d.seq / 1024 WHERE d.seq = ?1"
);

pub(super) fn delivery(db: &Connection, seq: i64, claim: u32) -> Result<DeliveryDetail, StoreError> {
    let (_, delivery) = db.prepare_cached(DELIVERY)?.query_row([seq], row::delivery)?;
    let event = db.prepare_cached(BY_SEQ)?.query_row([seq / row::DELIVERIES], |row| row::event(row, 0))?;
    Ok(DeliveryDetail { delivery, claim, event, attempts: attempts_of(db, seq)? })
}

pub(super) const OLDEST_PENDING: &str = "\
    SELECT accepted_at FROM delivery
    WHERE handler = ?1 AND state = 'pending' AND state <> 'delivered' ORDER BY seq LIMIT 1";

pub(super) fn backlog(db: &Connection) -> Result<Vec<Backlog>, StoreError> {
    let mut handlers = BTreeMap::<String, BTreeMap<String, u64>>::new();
    let mut tally = db.prepare_cached("SELECT handler, state, count FROM tally")?;
    let mut rows = tally.query([])?;
    while let Some(row) = rows.next()? {
        let count = u64::try_from(row.get::<_, i64>("count")?).unwrap_or(0);
        handlers.entry(row.get("handler")?).or_default().insert(row.get("state")?, count);
    }
    let mut oldest = db.prepare_cached(OLDEST_PENDING)?;
    let mut backlog = Vec::with_capacity(handlers.len());
    for (handler, counts) in handlers {
        let count = |state| counts.get(state).copied().unwrap_or(0);
        let since: Option<i64> = oldest.query_row([&handler], |row| row.get(0)).optional()?;
        backlog.push(Backlog {
            pending: count("pending"),
            in_flight: count("in_flight"),
            awaiting: count("awaiting"),
            parked: count("parked"),
            delivered: count("delivered"),
            superseded: count("superseded"),
            cancelled: count("cancelled"),
            oldest_pending: since.map(row::time).transpose()?,
            handler,
        });
    }
    Ok(backlog)
}

pub(super) fn samples(
    db: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<KeptSample>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(
        "SELECT seq, source, received_at, reason, body FROM sample WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    )?;
    let found = statement.query_map(params![before.unwrap_or(i64::MAX), limit], |found| {
        let sample = Sample {
            source: found.get(1)?,
            received_at: row::time(found.get(2)?)?,
            reason: found.get(3)?,
            body: found.get(4)?,
        };
        Ok(KeptSample { number: found.get(0)?, sample })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}
