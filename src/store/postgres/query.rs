//! What an operator asks: pages of events, one event whole, deliveries by what they are, how much waits.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::types::ToSql;

use super::connect::Session;
use super::fault::Fault;
use super::row::{self, Columns, attempt_columns, delivery_columns, event_columns, micros, text};
use crate::delivery::{Attempt, Delivery, DeliveryId};
use crate::event::EventId;
use crate::store::number::{EVENTS, delivery_seq, highest_id_until, lowest_id_since};
use crate::store::{Backlog, DeliveryDetail, EventDetail, EventSummary, KeptSample, Page, Sample, Select};

/// A statement that is put together, with its values.
#[derive(Default)]
pub(super) struct Statement {
    pub(super) sql: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Statement {
    fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    /// Adds a part; `?` in it stands for the value.
    fn and(&mut self, part: &str, value: impl ToSql + Sync + Send + 'static) {
        self.values.push(Box::new(value));
        self.sql.push_str(&part.replace('?', &format!("${}", self.values.len())));
    }

    fn and_text(&mut self, part: &str, value: &str) {
        self.and(part, text(value).into_owned());
    }

    async fn rows(&self, session: &mut Session) -> Result<Vec<tokio_postgres::Row>, Fault> {
        let values: Vec<&(dyn ToSql + Sync)> = self.values.iter().map(|value| &**value as _).collect();
        session.rows(&self.sql, &values).await
    }
}

/// Texts can be too long for an index, so their hashes are in there.
const OF_SUBJECT: &str =
    " AND hashtextextended(e.subject_id, 0) = hashtextextended(?, 0) AND e.subject_id = ?";
const OF_TYPE: &str = " AND hashtextextended(e.event_type, 0) = hashtextextended(?, 0) AND e.event_type = ?";

pub(super) async fn events(mut session: Session, page: &Page) -> Result<Vec<EventSummary>, Fault> {
    let before = match page.before {
        Some(id) => match seq_of(&mut session, id).await? {
            Some(seq) => seq,
            None => return Ok(Vec::new()),
        },
        None => EVENTS,
    };
    let rows = match &page.state {
        Some(state) if is_all_that_is_asked(page) && state != "delivered" => {
            session.rows(IN_STATE, &[state, &before, &row::limit(page.limit)]).await?
        }
        _ => filtered(page, before).rows(&mut session).await?,
    };
    let seqs: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    summaries(&mut session, &seqs).await
}

fn is_all_that_is_asked(page: &Page) -> bool {
    page.event_type.is_none() && page.subject.is_none() && page.kind.is_none() && page.handler.is_none()
}

async fn seq_of(session: &mut Session, id: EventId) -> Result<Option<i64>, Fault> {
    let found = session.row("SELECT seq FROM event WHERE id = $1", &[&id.0]).await?;
    Ok(found.map(|row| row.try_get(0)).transpose()?)
}

/// The index on what isn't delivered goes by handler, so each handler's newest are looked up and merged.
pub(super) const IN_STATE: &str = "\
    SELECT DISTINCT d.seq / 1024 AS event
    FROM (SELECT handler FROM tally UNION SELECT handler FROM tally_change) h
    CROSS JOIN LATERAL (
        SELECT d.seq FROM delivery d
        WHERE d.handler = h.handler AND d.state = $1 AND d.state <> 'delivered' AND d.seq < $2::int8 * 1024
        ORDER BY d.seq DESC LIMIT $3) d
    ORDER BY event DESC LIMIT $3";

const SOME_DELIVERY: &str =
    " AND EXISTS (SELECT 1 FROM delivery d WHERE d.seq BETWEEN e.seq * 1024 AND e.seq * 1024 + 1023";

fn filtered(page: &Page, before: i64) -> Statement {
    let mut statement = Statement::new("SELECT e.seq FROM event e");
    statement.and(" WHERE e.seq < ?", before);
    if let Some(subject) = &page.subject {
        statement.and_text(OF_SUBJECT, subject);
    }
    if let Some(kind) = page.kind {
        statement.and_text(" AND e.subject_kind = ?", kind.as_str());
    }
    if let Some(event_type) = &page.event_type {
        statement.and_text(OF_TYPE, event_type);
    }
    if page.state.is_some() || page.handler.is_some() {
        // one delivery must be both
        statement.sql.push_str(SOME_DELIVERY);
        if let Some(state) = &page.state {
            statement.and_text(" AND d.state = ?", state);
        }
        if let Some(handler) = &page.handler {
            statement.and_text(" AND d.handler = ?", handler);
        }
        statement.sql.push(')');
    }
    statement.and(" ORDER BY e.seq DESC LIMIT ?", row::limit(page.limit));
    statement
}

const EVENTS_BY_SEQ: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM unnest($1::int8[]) WITH ORDINALITY AS w (seq, n) JOIN event e ON e.seq = w.seq ORDER BY w.n"
);

const DELIVERIES_OF: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM unnest($1::int8[]) AS w (seq) JOIN event e ON e.seq = w.seq
    JOIN delivery d ON d.seq BETWEEN w.seq * 1024 AND w.seq * 1024 + 1023 ORDER BY d.seq"
);

async fn summaries(session: &mut Session, seqs: &[i64]) -> Result<Vec<EventSummary>, Fault> {
    let rows = session.rows(EVENTS_BY_SEQ, &[&seqs]).await?;
    let mut deliveries = HashMap::<EventId, Vec<Delivery>>::new();
    for (_, delivery) in deliveries_of(session, seqs).await? {
        deliveries.entry(delivery.event).or_default().push(delivery);
    }
    let summary = |row| {
        let event = Columns::of(row).event()?;
        Ok(EventSummary { deliveries: deliveries.remove(&event.id).unwrap_or_default(), event })
    };
    rows.iter().map(summary).collect()
}

async fn deliveries_of(session: &mut Session, seqs: &[i64]) -> Result<Vec<(i64, Delivery)>, Fault> {
    session.rows(DELIVERIES_OF, &[&seqs]).await?.iter().map(|row| Columns::of(row).delivery()).collect()
}

const ATTEMPTS_OF: &str = concat!(
    "SELECT delivery, ",
    attempt_columns!(),
    " FROM attempt WHERE delivery = ANY ($1) ORDER BY delivery, number"
);

async fn attempts_of(session: &mut Session, seqs: &[i64]) -> Result<HashMap<i64, Vec<Attempt>>, Fault> {
    let mut attempts = HashMap::<i64, Vec<Attempt>>::new();
    for row in session.rows(ATTEMPTS_OF, &[&seqs]).await? {
        let mut columns = Columns::of(&row);
        attempts.entry(columns.next()?).or_default().push(columns.attempt()?);
    }
    Ok(attempts)
}

pub(super) async fn event(mut session: Session, id: EventId) -> Result<Option<EventDetail>, Fault> {
    session.begin_to_look();
    let Some(seq) = seq_of(&mut session, id).await? else {
        session.commit(&[]).await?;
        return Ok(None);
    };
    let event = session.row(EVENTS_BY_SEQ, &[&vec![seq]]).await?;
    let deliveries = deliveries_of(&mut session, &[seq]).await?;
    let seqs: Vec<_> = deliveries.iter().map(|(seq, _)| *seq).collect();
    let mut attempts = attempts_of(&mut session, &seqs).await?;
    session.commit(&[]).await?;
    let Some(event) = event.map(|row| Columns::of(&row).event()).transpose()? else { return Ok(None) };
    let deliveries = deliveries
        .into_iter()
        .map(|(seq, delivery)| (delivery, attempts.remove(&seq).unwrap_or_default()))
        .collect();
    Ok(Some(EventDetail { event, deliveries }))
}

const DELIVERY: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", ",
    event_columns!(),
    ", d.claims, NULL::text FROM delivery d JOIN event e ON e.seq = d.seq / 1024 WHERE d.seq = $1"
);

pub(super) async fn delivery(mut session: Session, id: DeliveryId) -> Result<Option<DeliveryDetail>, Fault> {
    session.begin_to_look();
    let found = session.row(DELIVERY, &[&delivery_seq(id)]).await?;
    let found = found.map(|row| Columns::of(&row).claimed()).transpose()?;
    // its number alone would also find that of another store
    let Some((seq, one)) = found.filter(|(_, one)| one.delivery.id == id) else {
        session.commit(&[]).await?;
        return Ok(None);
    };
    let attempts = attempts_of(&mut session, &[seq]).await?.remove(&seq).unwrap_or_default();
    session.commit(&[]).await?;
    Ok(Some(DeliveryDetail { delivery: one.delivery, claim: one.claim, event: one.event, attempts }))
}

pub(super) async fn deliveries(
    mut session: Session,
    select: &Select,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Vec<Delivery>, Fault> {
    let statement = selected(select, after.map_or(-1, delivery_seq), row::limit(limit));
    statement.rows(&mut session).await?.iter().map(|row| Ok(Columns::of(row).delivery()?.1)).collect()
}

pub(super) fn selected(select: &Select, after: i64, limit: i64) -> Statement {
    let mut statement = Statement::new(concat!("SELECT ", delivery_columns!(), " FROM ("));
    // where the state says it, each handler's first are looked up and merged
    let by_handler =
        select.handler.is_none() && select.state.as_ref().is_some_and(|state| state != "delivered");
    if by_handler {
        statement.sql.push_str(
            "SELECT s.seq FROM (SELECT handler FROM tally UNION SELECT handler FROM tally_change) h CROSS JOIN LATERAL (",
        );
    }
    statement.and("SELECT d.seq FROM delivery d JOIN event e ON e.seq = d.seq / 1024 WHERE d.seq > ?", after);
    if by_handler {
        statement.sql.push_str(" AND d.handler = h.handler");
    }
    if let Some(handler) = &select.handler {
        statement.and_text(" AND d.handler = ?", handler);
    }
    if let Some(state) = &select.state {
        statement.and_text(" AND d.state = ?", state);
        if state != "delivered" {
            statement.sql.push_str(" AND d.state <> 'delivered'");
        }
    }
    if let Some(event_type) = &select.event_type {
        statement.and_text(OF_TYPE, event_type);
    }
    if let Some(subject) = &select.subject {
        statement.and_text(OF_SUBJECT, subject);
    }
    if select.event_type.is_some() || select.subject.is_some() {
        statement.sql.push_str(" AND d.seq BETWEEN e.seq * 1024 AND e.seq * 1024 + 1023");
    }
    // Ids go by the time, so the first and the last needn't be looked for.
    if let Some(until) = select.until {
        statement.and(
            " AND d.seq <= coalesce((SELECT n.seq FROM event n WHERE n.id < ? ORDER BY n.id DESC LIMIT 1), -1) * 1024 + 1023",
            highest_id_until(until),
        );
        statement.and(" AND d.accepted_at < ?", micros(until));
    }
    if let Some(from) = select.from {
        statement.and(
            " AND d.seq >= coalesce((SELECT n.seq FROM event n WHERE n.id >= ? ORDER BY n.id LIMIT 1), 274877906944) * 1024",
            lowest_id_since(from),
        );
        statement.and(" AND d.accepted_at >= ?", micros(from));
    }
    statement.and(" ORDER BY d.seq LIMIT ?", limit);
    if by_handler {
        statement.and(") s ORDER BY s.seq LIMIT ?", limit);
    }
    statement
        .sql
        .push_str(") w JOIN delivery d ON d.seq = w.seq JOIN event e ON e.seq = d.seq / 1024 ORDER BY d.seq");
    statement
}

const TALLY: &str = "\
    SELECT handler, state, sum(count)::int8 FROM (
        SELECT handler, state, count FROM tally UNION ALL SELECT handler, state, by FROM tally_change) t
    GROUP BY handler, state";

pub(super) const OLDEST_PENDING: &str = "\
    SELECT h.handler, (
        SELECT d.accepted_at FROM delivery d
        WHERE d.handler = h.handler AND d.state = 'pending' AND d.state <> 'delivered' ORDER BY d.seq LIMIT 1)
    FROM unnest($1::text[]) AS h (handler)";

pub(super) async fn backlog(mut session: Session) -> Result<Vec<Backlog>, Fault> {
    session.begin_to_look();
    let mut handlers = BTreeMap::<String, HashMap<String, u64>>::new();
    for row in session.rows(TALLY, &[]).await? {
        let mut columns = Columns::of(&row);
        let (handler, state): (String, _) = (columns.next()?, columns.text()?);
        let count = u64::try_from(columns.next::<i64>()?).unwrap_or(0);
        handlers.entry(handler).or_default().insert(state, count);
    }
    let names: Vec<_> = handlers.keys().collect();
    let mut oldest = HashMap::new();
    for row in session.rows(OLDEST_PENDING, &[&names]).await? {
        let mut columns = Columns::of(&row);
        oldest.insert(columns.next::<String>()?, columns.maybe_time()?);
    }
    session.commit(&[]).await?;
    let of_handler = |(handler, counts): (String, HashMap<String, u64>)| {
        let count = |state| counts.get(state).copied().unwrap_or(0);
        Backlog {
            pending: count("pending"),
            in_flight: count("in_flight"),
            awaiting: count("awaiting"),
            parked: count("parked"),
            delivered: count("delivered"),
            superseded: count("superseded"),
            cancelled: count("cancelled"),
            oldest_pending: oldest.remove(&handler).flatten(),
            handler,
        }
    };
    Ok(handlers.into_iter().map(of_handler).collect())
}

pub(super) async fn samples(
    mut session: Session,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<KeptSample>, Fault> {
    let sql =
        "SELECT seq, source, received_at, reason, body FROM sample WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
    let rows = session.rows(sql, &[&before.unwrap_or(i64::MAX), &row::limit(limit)]).await?;
    let sample = |row| {
        let mut columns = Columns::of(row);
        let number = columns.next()?;
        let (source, received_at) = (columns.text()?, columns.time()?);
        let sample = Sample { source, received_at, reason: columns.text()?, body: columns.next()? };
        Ok(KeptSample { number, sample })
    };
    rows.iter().map(sample).collect()
}
