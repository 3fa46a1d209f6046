//! All rows, on their way to another store or from one.
//!
//! Rows are read by their numbers; what helps to find the next (who is the head, how many there are) is made anew on arrival.

use std::path::Path;

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params_from_iter};
use serde_json::{Map, Value};

use super::batch::Batch;
use super::lane::{self, Lane};
use super::{control, deliveries, row, statuses};
use crate::delivery::State;
use crate::handler::Order;
use crate::store::dump::{self, Bytes, Column, Id, TABLES, Table, list};
use crate::store::{DumpCursor, DumpPage, DumpRow, LOADING, StoreError};

fn names(table: &Table) -> String {
    list(table.columns, |column| column.name().to_owned())
}

pub(super) fn size(db: &Connection) -> Result<u64, StoreError> {
    let mut size = 0_u64;
    for table in TABLES {
        // The highest number is there at once; counting isn't.
        let sql = match table.name {
            "delivery" => "SELECT count(*) FROM delivery".to_owned(),
            name => format!("SELECT max(rowid) FROM {name}"),
        };
        let rows: Option<i64> = db.query_row(&sql, [], |row| row.get(0))?;
        size += u64::try_from(rows.unwrap_or(0)).unwrap_or(0);
    }
    Ok(size)
}

pub(super) fn is_empty(db: &Connection) -> Result<bool, StoreError> {
    for table in TABLES {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {})", table.name, table.moved());
        let any: bool = db.query_row(&sql, [], |row| row.get(0))?;
        if any {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the store in this file was being loaded, and isn't whole. Changes nothing.
///
/// # Errors
/// The file can't be read, or isn't one of ours.
pub fn is_half_loaded(path: &Path) -> Result<bool, StoreError> {
    if !path.exists() {
        return Ok(false);
    }
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let tables = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'note')";
    if !db.query_row(tables, [], |row| row.get::<_, bool>(0))? {
        return Ok(false);
    }
    Ok(db.query_row("SELECT EXISTS (SELECT 1 FROM note WHERE name = ?1)", [LOADING], |row| row.get(0))?)
}

pub(super) fn dump(db: &Connection, after: Option<DumpCursor>, limit: usize) -> Result<DumpPage, StoreError> {
    let mut at = after.unwrap_or(DumpCursor { table: 0, after: i64::MIN });
    let mut rows = Vec::new();
    while let Some(table) = TABLES.get(at.table) {
        let room = limit.max(1).saturating_sub(rows.len());
        let found = part(db, table, at.after, room, &mut rows)?;
        match found {
            Some(last) => {
                let next = DumpCursor { table: at.table, after: last };
                if rows.len() >= limit.max(1) {
                    return Ok(DumpPage { rows, next: Some(next) });
                }
                at = next;
            }
            None => at = DumpCursor { table: at.table + 1, after: i64::MIN },
        }
    }
    Ok(DumpPage { rows, next: None })
}

/// Answers the number of the last row; none if there was none.
fn part(
    db: &Connection,
    table: &Table,
    after: i64,
    room: usize,
    rows: &mut Vec<DumpRow>,
) -> Result<Option<i64>, StoreError> {
    let sql = format!(
        "SELECT rowid, {} FROM {} WHERE rowid > ?1 AND {} ORDER BY rowid LIMIT ?2",
        names(table),
        table.name,
        table.moved()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut found = statement.query([after, i64::try_from(room).unwrap_or(i64::MAX)])?;
    let mut last = None;
    while let Some(row) = found.next()? {
        last = Some(row.get(0)?);
        let mut columns = Map::new();
        for (index, column) in table.columns.iter().enumerate() {
            let value = match row.get_ref(index + 1)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => number.into(),
                ValueRef::Text(text) => {
                    std::str::from_utf8(text).map_err(|error| row::strange("text", error))?.into()
                }
                ValueRef::Blob(bytes) => hex(bytes).into(),
                ValueRef::Real(_) => return Err(row::strange("a number", "with a fraction").into()),
            };
            columns.insert(column.name().to_owned(), value);
        }
        rows.push(DumpRow { table: table.name.to_owned(), columns });
    }
    Ok(last)
}

pub(super) fn load(db: &Batch, rows: &[DumpRow]) -> Result<(), StoreError> {
    control::put_note(db, LOADING, "")?;
    for row in rows.iter().filter(|row| dump::is_moved(row)) {
        let table = Table::named(&row.table)?;
        let mut values = Vec::with_capacity(table.columns.len() + 1);
        for column in table.columns {
            values.push(sql_value(*column, row)?);
        }
        let (extra, places) = match table.name {
            "delivery" => {
                let state = state(row)?;
                let open = dump::holds(row, row::mode(Order::Strict))?;
                db.count(dump::word(row, "handler")?, state, 1);
                // the heads of those lanes where all wait are found when all are there
                let head = open && state != "pending";
                values.extend([Sql::Integer(open.into()), Sql::Integer(head.into())]);
                (", open, head", ", ?, ?")
            }
            _ => ("", ""),
        };
        let sql = format!(
            "INSERT INTO {} ({}{extra}) VALUES ({}{places})",
            table.name,
            names(table),
            vec!["?"; table.columns.len()].join(", ")
        );
        db.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    }
    Ok(())
}

/// In the program's own words.
fn state(row: &DumpRow) -> Result<&'static str, StoreError> {
    let said = dump::word(row, "state")?;
    let unknown = || StoreError::Rejected(format!("a delivery in an unknown state: {said:?}"));
    State::WORDS.into_iter().find(|known| *known == said).ok_or_else(unknown)
}

fn sql_value(column: Column, row: &DumpRow) -> Result<Sql, StoreError> {
    let wrong = || column.wrong();
    Ok(match (column, column.of(row)) {
        (_, Value::Null) => Sql::Null,
        (_, Value::Number(number)) => Sql::Integer(number.as_i64().ok_or_else(wrong)?),
        (Id(_) | Bytes(_), Value::String(text)) => Sql::Blob(unhex(text).ok_or_else(wrong)?),
        (_, Value::String(text)) => Sql::Text(text.clone()),
        _ => return Err(wrong()),
    })
}

pub(super) const FILED: &str =
    "UPDATE inbox SET filed = max(filed, coalesce((SELECT max(seq) FROM event), 0))";

pub(super) const ORPHANS: &str =
    "SELECT count(*) FROM delivery d WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.seq = d.seq / 1024)";

/// Makes what helps to find the next: heads, and where numbers go on. Whatever is sorted or changed by one statement is in memory
/// until that ends, so none does so with all that there is.
pub(super) fn loaded(db: &Batch, now: jiff::Timestamp) -> Result<(), StoreError> {
    db.execute(FILED, [])?;
    db.look_at_pauses();
    let orphans: i64 = db.query_row(ORPHANS, [], |row| row.get(0))?;
    if orphans > 0 {
        return Err(StoreError::Rejected(format!(
            "{orphans} deliveries have no event: the dump is incomplete"
        )));
    }
    deliveries::recover(db, now)?;
    statuses::recover(db)?;
    find_heads(db)?;
    db.execute("DELETE FROM note WHERE name = ?1 OR name LIKE 'prune.%'", [LOADING])?;
    let filed = db.query_row("SELECT filed FROM inbox", [], |row| row.get(0))?;
    db.set_filed(filed);
    Ok(())
}

pub(super) const NEXT_LANE: &str = "\
    SELECT handler, subject_kind, subject_id FROM delivery
    WHERE open = 1 AND (handler, subject_kind, subject_id) > (?1, ?2, ?3)
    ORDER BY handler, subject_kind, subject_id LIMIT 1";

/// Of all lanes, one after another.
fn find_heads(db: &Batch) -> Result<(), StoreError> {
    let mut next = db.prepare_cached(NEXT_LANE)?;
    let mut at: [String; 3] = Default::default();
    let read = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?]);
    while let Some(lane) = next.query_row(params_from_iter(&at), read).optional()? {
        at = lane;
        let [handler, kind, id] = &at;
        lane::let_go(db, Lane { handler, kind, id })?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
