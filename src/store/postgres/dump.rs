//! All rows, on their way to another store or from one.
//!
//! Rows are read in the order in which they lie, all in one transaction: what others do meanwhile doesn't show.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::PostgresSettings;
use super::changes::Changes;
use super::connect::{Address, Db, Session};
use super::control;
use super::fault::Fault;
use super::lane::{self, Into};
use super::lease::Interrupted;
use super::row::{self, text};
use crate::event::{Event, EventId, Subject, SubjectKind};
use crate::handler::Order;
use crate::store::dump::{self, Bytes, Column, Id, Int, Int2, Int4, TABLES, Table, Text, list, word};
use crate::store::{DumpCursor, DumpPage, DumpRow, LOADING, StoreError};

/// A column as it is asked for: as a number or a text.
fn selected(column: Column) -> String {
    match column {
        Int(name) | Int2(name) | Int4(name) => format!("t.{name}::int8"),
        Text(name) => format!("t.{name}"),
        Id(name) => format!("replace(t.{name}::text, '-', '')"),
        Bytes(name) => format!("encode(t.{name}, 'hex')"),
    }
}

/// The other way round, the column of what was given being so named.
fn inserted(column: Column) -> String {
    match column {
        Int(name) | Text(name) => format!("w.{name}"),
        Int2(name) => format!("w.{name}::int2"),
        Int4(name) => format!("w.{name}::int4"),
        Id(name) => format!("w.{name}::uuid"),
        Bytes(name) => format!("decode(w.{name}, 'hex')"),
    }
}

/// These columns of the rows.
fn values(column: Column, rows: &[DumpRow]) -> Result<Values, StoreError> {
    let values = rows.iter().map(|row| column.of(row));
    if column.is_number() {
        let number = |value: &Value| match value {
            Value::Null => Ok(None),
            value => value.as_i64().map(Some).ok_or_else(|| column.wrong()),
        };
        return Ok(Box::new(values.map(number).collect::<Result<Vec<_>, _>>()?));
    }
    let word = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::String(word) => Ok(Some(text(word).into_owned())),
        _ => Err(column.wrong()),
    };
    Ok(Box::new(values.map(word).collect::<Result<Vec<_>, _>>()?))
}

/// By the planner's counts, and for tables that it hasn't counted yet, by counting.
pub(super) async fn size(mut session: Session) -> Result<u64, Fault> {
    let mut size = 0;
    for Table { name, .. } in TABLES {
        let about =
            format!("SELECT greatest(reltuples, -1)::int8 FROM pg_class WHERE oid = '{name}'::regclass");
        let mut rows: i64 = session.row(&about, &[]).await?.map_or(Ok(-1), |row| row.try_get(0))?;
        if rows < 0 {
            let counted = session.row(&format!("SELECT count(*) FROM {name}"), &[]).await?;
            rows = counted.map_or(Ok(0), |row| row.try_get(0))?;
        }
        size += u64::try_from(rows).unwrap_or(0);
    }
    Ok(size)
}

/// Asked of the rows: what the planner counted may be of another time.
pub(super) async fn is_empty(mut session: Session) -> Result<bool, Fault> {
    let any = |table: &Table| format!("EXISTS (SELECT 1 FROM {} WHERE {})", table.name, table.moved());
    let any: Vec<_> = TABLES.iter().map(any).collect();
    let row = session.row(&format!("SELECT NOT ({})", any.join(" OR ")), &[]).await?;
    Ok(row.map_or(Ok(true), |row| row.try_get(0))?)
}

/// Whether this store was being loaded, and isn't whole. Changes nothing.
///
/// # Errors
/// The database says no.
pub async fn is_half_loaded(settings: &PostgresSettings) -> Result<bool, StoreError> {
    let client = Address::new(settings)?.connect().await?;
    let note = format!("{}.note", settings.schema);
    let half = async {
        let there = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&note]).await?;
        if !there.try_get::<_, bool>(0)? {
            return Ok(false);
        }
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {note} WHERE name = $1)");
        client.query_one(&sql, &[&LOADING]).await?.try_get(0)
    };
    Ok(half.await.map_err(Fault::from)?)
}

/// How many blocks are looked at together.
const BLOCKS: i64 = 16;

const OTHERS: &str = "\
    SELECT string_agg(name, ', ') FROM gateway WHERE id <> $1 AND lease_until > clock_timestamp()";

/// Begins to see all as it is now, and goes on to; refuses while other gateways work.
pub(super) async fn begin(session: &mut Session, me: Uuid) -> Result<(), Fault> {
    session.begin_to_look();
    // pages are asked for at the pace of whoever writes them
    session.rows("SET LOCAL idle_in_transaction_session_timeout = 0", &[]).await?;
    alone(session, me).await
}

/// Refuses while other gateways work.
async fn alone(session: &mut Session, me: Uuid) -> Result<(), Fault> {
    let others = session.row(OTHERS, &[&me]).await?;
    match others.map(|row| row::Columns::of(&row).maybe_text()).transpose()?.flatten() {
        None => Ok(()),
        Some(names) => Err(Fault::Store(StoreError::Rejected(format!(
            "{names} works on this database: stop that gateway first (one that was killed counts as stopped when its lease has run out)"
        )))),
    }
}

/// The next page, in a session that has begun.
pub(super) async fn page(
    session: &mut Session,
    after: Option<DumpCursor>,
    limit: usize,
) -> Result<DumpPage, Fault> {
    let limit = limit.max(1);
    let mut at = after.unwrap_or(DumpCursor { table: 0, after: 0 });
    let mut rows = Vec::new();
    while let Some(table) = TABLES.get(at.table) {
        let sql = format!(
            "SELECT (pg_relation_size('{name}') / current_setting('block_size')::int8)::int8",
            name = table.name
        );
        let blocks: i64 = session.row(&sql, &[]).await?.map_or(Ok(0), |row| row.try_get(0))?;
        while at.after >> PLACES < blocks {
            let room = limit - rows.len();
            let found = part(session, table, at.after, room, &mut rows).await?;
            // no more in these blocks unless there was no room
            at.after = match found {
                Some(last) if rows.len() >= limit => last,
                _ => ((at.after >> PLACES) + BLOCKS) << PLACES,
            };
            if rows.len() >= limit {
                return Ok(DumpPage { rows, next: Some(at) });
            }
        }
        at = DumpCursor { table: at.table + 1, after: 0 };
    }
    Ok(DumpPage { rows, next: None })
}

/// A row's place is its block and, in as many bits, its number in there.
const PLACES: u32 = 16;

/// Answers the place of the last row; none if there was none.
async fn part(
    session: &mut Session,
    table: &Table,
    after: i64,
    room: usize,
    rows: &mut Vec<DumpRow>,
) -> Result<Option<i64>, Fault> {
    let (block, place) = (after >> PLACES, after & ((1 << PLACES) - 1));
    let sql = format!(
        "SELECT split_part(trim(both '()' from t.ctid::text), ',', 1)::int8,
            split_part(trim(both '()' from t.ctid::text), ',', 2)::int8, {}
         FROM {} t WHERE t.ctid > $1::text::tid AND t.ctid < $2::text::tid AND {} ORDER BY t.ctid LIMIT $3",
        list(table.columns, selected),
        table.name,
        table.moved()
    );
    let (from, to) = (format!("({block},{place})"), format!("({},0)", block + BLOCKS));
    let mut last = None;
    for row in session.rows(&sql, &[&from, &to, &row::limit(room)]).await? {
        let mut read = row::Columns::of(&row);
        last = Some((read.next::<i64>()? << PLACES) + read.next::<i64>()?);
        let mut columns = Map::new();
        for column in table.columns {
            let value = if column.is_number() {
                read.next::<Option<i64>>()?.map(Value::from)
            } else {
                read.maybe_text()?.map(Value::from)
            };
            columns.insert(column.name().to_owned(), value.unwrap_or_default());
        }
        rows.push(DumpRow { table: table.name.to_owned(), columns });
    }
    Ok(last)
}

/// Values of a column.
type Values = Box<dyn ToSql + Sync + Send>;

/// Columns that only this store has: their names, types and values.
fn extra(table: &str, rows: &[DumpRow]) -> Result<(&'static str, &'static str, Vec<Values>), StoreError> {
    Ok(match table {
        "event" => (", same", "uuid", vec![Box::new(rows.iter().map(same).collect::<Result<Vec<_>, _>>()?)]),
        "delivery" => {
            let open = rows
                .iter()
                .map(|row| dump::holds(row, row::mode(Order::Strict).into()))
                .collect::<Result<Vec<_>, _>>()?;
            (", lane, open", "uuid,bool", vec![Box::new(lanes(rows)?), Box::new(open)])
        }
        "last_delivered" => (", lane", "uuid", vec![Box::new(lanes(rows)?)]),
        _ => ("", "", Vec::new()),
    })
}

fn lanes(rows: &[DumpRow]) -> Result<Vec<Uuid>, StoreError> {
    let lane = |row: &DumpRow| {
        Ok(row::lane(word(row, "handler")?, word(row, "subject_kind")?, word(row, "subject_id")?))
    };
    rows.iter().map(lane).collect()
}

fn same(row: &DumpRow) -> Result<Option<Uuid>, StoreError> {
    let number = |column| row.columns.get(column).and_then(Value::as_i64);
    let kind = SubjectKind::from_word(word(row, "subject_kind")?);
    let kind =
        kind.ok_or_else(|| StoreError::Rejected("an event about an unknown kind of subject".into()))?;
    Ok(row::same(&Event {
        id: EventId(Uuid::nil()),
        source: word(row, "source")?.to_owned(),
        i_env: number("i_env"),
        i_event: number("i_event"),
        event_type: word(row, "event_type")?.to_owned(),
        subject: Subject { kind, id: word(row, "subject_id")?.to_owned() },
        event_time: None,
        received_at: Timestamp::UNIX_EPOCH,
        body: String::new(),
    }))
}

/// Says that it is being loaded. What another gateway takes in meanwhile would be thrown away with what was loaded if that
/// broke off: so none is there, and until that is said none comes. One that comes later finds it said, and goes again.
async fn begin_to_load(session: &mut Session, me: Uuid) -> Result<(), Fault> {
    session.rows("LOCK TABLE gateway IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
    alone(session, me).await?;
    session.rows(control::PUT_NOTE, &[&LOADING, &""]).await?;
    Ok(())
}

pub(super) async fn load(mut session: Session, rows: &[DumpRow], me: Uuid) -> Result<(), Fault> {
    session.begin();
    if control::note(&mut session, LOADING).await?.is_none() {
        begin_to_load(&mut session, me).await?;
    }
    let together = |one: &DumpRow, other: &DumpRow| {
        one.table == other.table && dump::is_moved(one) == dump::is_moved(other)
    };
    for part in rows.chunk_by(together).filter(|part| dump::is_moved(&part[0])) {
        let name = &part[0].table;
        let table = Table::named(name)?;
        let (more, types, extra) = extra(table.name, part)?;
        let mut values = Vec::new();
        for column in table.columns {
            values.push(self::values(*column, part)?);
        }
        values.extend(extra);
        let types = table
            .columns
            .iter()
            .map(|column| if column.is_number() { "int8" } else { "text" })
            .chain(types.split(',').filter(|kind| !kind.is_empty()));
        let places: Vec<_> = (1..).zip(types).map(|(n, kind)| format!("${n}::{kind}[]")).collect();
        let sql = format!(
            "INSERT INTO {name} ({names}{more}) SELECT {inserted}{more} FROM unnest({places}) AS w ({names}{more})",
            names = list(table.columns, |column| column.name().to_owned()),
            inserted = list(table.columns, inserted),
            places = places.join(", "),
        );
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as _).collect();
        session.rows(&sql, &values).await?;
    }
    session.commit(&[]).await
}

/// What helps to find the next: counts, lanes, and where numbers go on.
const MAKE: [&str; 7] = [
    "DELETE FROM note WHERE name = 'loading' OR name LIKE 'prune.%'",
    "DELETE FROM tally_change",
    "DELETE FROM tally",
    "INSERT INTO tally (handler, state, count) SELECT handler, state, count(*) FROM delivery GROUP BY handler, state",
    "SELECT setval('event_seq', greatest((SELECT max(seq) FROM event), (SELECT last_value FROM event_seq)))",
    "SELECT setval(pg_get_serial_sequence('sample', 'seq'), max(seq)) FROM sample HAVING max(seq) IS NOT NULL",
    "INSERT INTO lane (id, handler, subject_kind, subject_id, held, head, rank, due)
     SELECT DISTINCT ON (d.lane) d.lane, d.handler, d.subject_kind, d.subject_id,
        (SELECT h.seq FROM delivery h WHERE h.lane = d.lane AND h.open AND h.state <> 'pending' LIMIT 1), d.seq, d.rank, d.at
     FROM delivery d WHERE d.open ORDER BY d.lane, d.rank, d.seq",
];

const ORPHANS: &str = "\
    SELECT count(*) FROM delivery d WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.seq = d.seq / 1024)";

pub(super) async fn loaded(db: &Db, now: Timestamp) -> Result<(), Fault> {
    let mut session = db.session().await?;
    session.begin();
    // millions of rows, once
    session.rows("SET LOCAL statement_timeout = 0", &[]).await?;
    let plans = "SELECT set_config(name, 'on', true) FROM unnest(ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) AS w (name)";
    session.rows(plans, &[]).await?;
    let orphans: i64 = session.row(ORPHANS, &[]).await?.map_or(Ok(0), |row| row.try_get(0))?;
    if orphans > 0 {
        let words = format!("{orphans} deliveries have no event: the dump is incomplete");
        return Err(StoreError::Rejected(words).into());
    }
    for sql in MAKE {
        session.rows(sql, &[]).await?;
    }
    recover(session, now).await
}

/// What was in flight in the other store is tried again. Ends the transaction.
async fn recover(mut session: Session, now: Timestamp) -> Result<(), Fault> {
    let found = session
        .rows(
            "SELECT d.seq FROM lane l JOIN delivery d ON d.seq = l.held WHERE d.state = 'in_flight' AND d.gateway IS NULL",
            &[],
        )
        .await?;
    let seqs: Vec<i64> = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let placed = lane::lock_seqs(&mut session, &seqs, Into::Present).await?;
    let interrupted: Vec<_> = placed.iter().filter_map(|placed| Interrupted::of(placed, now)).collect();
    let mut changes = Changes::default();
    for one in &interrupted {
        one.record(&mut changes, now);
    }
    changes.commit(session).await
}
