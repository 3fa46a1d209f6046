//! What nothing is to be claimed of.

use rusqlite::{Connection, params};

use super::batch::Batch;
use super::lane::{self, Lane};
use super::row;
use crate::event::Subject;
use crate::store::{Pause, Scope, StoreError, Want};

/// The pauses that keep whole handlers from claiming; those of subjects are written down with their lanes.
#[derive(Debug)]
pub(super) struct Pauses(Vec<Scope>);

impl Pauses {
    pub(super) fn load(db: &Connection) -> Result<Self, StoreError> {
        let mut pauses = db.prepare_cached("SELECT scope, name FROM pause WHERE scope <> 'subject'")?;
        let mut rows = pauses.query([])?;
        let mut scopes = Vec::new();
        while let Some(row) = rows.next()? {
            scopes
                .extend(Scope::from_words(row.get_ref(0)?.as_str().unwrap_or(""), &row.get::<_, String>(1)?));
        }
        Ok(Self(scopes))
    }

    pub(super) fn let_through(&self, want: &Want) -> bool {
        !self.0.iter().any(|scope| match scope {
            Scope::Everything => true,
            Scope::Handler(name) => *name == want.handler,
            Scope::Connector(name) => *name == want.connector,
            Scope::Subject(_) => false,
        })
    }
}

pub(super) fn pause(db: &Batch, pause: &Pause) -> Result<(), StoreError> {
    let (scope, name) = pause.scope.words();
    db.prepare_cached(
        "INSERT INTO pause (scope, name, at, reason) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET reason = excluded.reason",
    )?
    .execute(params![scope, name, row::micros(pause.at), pause.reason])?;
    if let Scope::Subject(subject) = &pause.scope {
        db.look_at_pauses();
        lanes(db, subject, lane::hold)?;
    }
    Ok(())
}

/// Answers whether there was one.
pub(super) fn resume(db: &Batch, scope: &Scope) -> Result<bool, StoreError> {
    let (word, name) = scope.words();
    let ended = db
        .prepare_cached("DELETE FROM pause WHERE scope = ?1 AND name = ?2")?
        .execute(params![word, name])?;
    if let Scope::Subject(subject) = scope
        && ended > 0
    {
        db.look_at_pauses();
        lanes(db, subject, lane::let_go)?;
    }
    Ok(ended > 0)
}

/// All lanes that this subject can have.
fn lanes(
    db: &Batch,
    subject: &Subject,
    each: fn(&Batch, Lane<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    super::filing::file(db)?;
    let handlers = db
        .prepare_cached("SELECT DISTINCT handler FROM tally")?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    for handler in handlers {
        each(db, Lane { handler: &handler, kind: subject.kind.as_str(), id: &subject.id })?;
    }
    Ok(())
}

pub(super) fn all(db: &Connection) -> Result<Vec<Pause>, StoreError> {
    let mut pauses =
        db.prepare_cached("SELECT scope, name, at, reason FROM pause ORDER BY at, scope, name")?;
    let mut rows = pauses.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let (scope, name): (String, String) = (row.get(0)?, row.get(1)?);
        let scope = Scope::from_words(&scope, &name).ok_or_else(|| row::strange("a pause", scope))?;
        all.push(Pause { scope, at: row::time(row.get(2)?)?, reason: row.get(3)? });
    }
    Ok(all)
}
