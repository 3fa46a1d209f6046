//! No verb on the way of an event may look at more rows than it needs: no scan, no sort, whatever there is in the store.

use rusqlite::Connection;

use super::super::{claim, control, deliveries, dump, filing, lane, query, statuses};
use super::Temp;
use crate::store::Select;

fn plan(db: &Connection, sql: &str) -> Result<String, rusqlite::Error> {
    let mut explained = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    // What isn't bound is null; the plan doesn't depend on it.
    let mut rows = explained.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        steps.push(row.get::<_, String>("detail")?);
    }
    Ok(steps.join("; "))
}

#[tokio::test]
async fn every_verb_goes_by_an_index() {
    let temp = Temp::new();
    let filtered = |condition: &str| {
        format!("SELECT e.seq FROM event e WHERE e.seq < ? AND {condition} ORDER BY e.seq DESC LIMIT ?")
    };
    let selected = |handler: Option<&str>, state: Option<&str>, event_type: Option<&str>| {
        let owned = |word: Option<&str>| word.map(str::to_owned);
        let (handler, state, event_type) = (owned(handler), owned(state), owned(event_type));
        control::selected(&Select { handler, state, event_type, ..Select::default() }, -1, i64::MAX, 9).0
    };
    let cases = [
        (selected(Some("a"), Some("parked"), None), "delivery_waiting"),
        (selected(None, None, Some("Subscriber/Closed")), "event_type"),
        // whoever looks for what came before some time doesn't look at all that came since
        (selected(Some("a"), None, None), "d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (filing::SAME_EVENT.to_owned(), "event_same"),
        (lane::FIRST.to_owned(), "delivery_lane"),
        (lane::WAITING.to_owned(), "delivery_lane"),
        (lane::FIRST_IS_SPREAD.to_owned(), "delivery_lane"),
        (lane::HURRY.to_owned(), "delivery_lane"),
        (lane::HOLD.to_owned(), "delivery_lane"),
        (lane::HEADED.to_owned(), "delivery_lane"),
        (dump::NEXT_LANE.to_owned(), "delivery_lane"),
        (claim::OVERDUE.to_owned(), "awaiting_deadline"),
        (claim::NEXT_DEADLINE.to_owned(), "awaiting_deadline"),
        (claim::DUE.to_owned(), "delivery_due"),
        (deliveries::INTERRUPTED.to_owned(), "delivery_waiting"),
        (statuses::due_sql(), "status_due"),
        (statuses::NEXT_DUE.to_owned(), "status_due"),
        (statuses::GIVEN_UP.to_owned(), "status_given_up"),
        (statuses::OF_ACCOUNT.to_owned(), "sqlite_autoindex_status_1"),
        (control::DELIVERED.to_owned(), "sqlite_autoindex_last_delivered_1"),
        (query::IN_STATE.to_owned(), "delivery_waiting"),
        (query::OLDEST_PENDING.to_owned(), "delivery_waiting"),
        (filtered("e.subject_id = ?"), "event_subject"),
        (filtered("e.subject_id = ? AND +e.subject_kind = ?"), "event_subject"),
        (filtered("e.event_type = ?"), "event_type"),
    ];
    temp.store
        .writer
        .run(move |db| {
            for (sql, index) in &cases {
                let plan = plan(db, sql)?;
                assert!(plan.contains(index), "{sql}\n{plan}");
                // The tally has a few rows per handler.
                let scans = plan.split("; ").any(|step| {
                    step.starts_with("SCAN") && !step.contains("CONSTANT ROW") && step != "SCAN t"
                });
                assert!(!scans && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
            }
            Ok(())
        })
        .await
        .expect("plans");
}

/// What is sorted is in memory, and may be millions of rows.
#[tokio::test]
async fn a_store_is_loaded_without_sorting_it() {
    let temp = Temp::new();
    let look = |db: &super::super::Batch| {
        for sql in [dump::FILED, dump::ORPHANS, dump::NEXT_LANE] {
            let plan = plan(db, sql)?;
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
        Ok(())
    };
    temp.store.writer.run(look).await.expect("plans");
}
