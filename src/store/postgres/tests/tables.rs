//! The tables: how they are made, and that each verb finds its rows by an index.

use super::*;
use crate::store::conformance::{delivered, event, to, want};

#[tokio::test]
async fn steps_are_planned_and_applied_once() {
    let Some(server) = server::server() else { return };
    let settings = settings(server);
    let careful = PostgresSettings { migrate: false, ..settings.clone() };
    let planned = plan(&settings).await.expect("a plan");
    assert_eq!(planned[0].version, 1);
    assert!(planned[0].sql.contains("CREATE TABLE event"));
    let error = PostgresStore::open(careful.clone(), at(0)).await.expect_err("no tables");
    assert!(error.to_string().contains("lacks"), "{error}");
    // two at once: each step is done by one
    let (one, other) = tokio::join!(apply(&settings), apply(&settings));
    let mut applied = [one.expect("applied"), other.expect("applied")].concat();
    applied.sort_by_key(|step| step.version);
    assert_eq!(applied, planned);
    assert_eq!(plan(&settings).await, Ok(vec![]));
    PostgresStore::open(careful, at(0)).await.expect("a store").close().await;
}

#[tokio::test]
async fn a_schema_that_an_administrator_made_is_enough() {
    let Some(server) = server::server() else { return };
    let all = settings(server);
    let role = &all.schema;
    // as such a role is by default: it may not create a schema in the database
    run(&all, &format!("CREATE ROLE {role} LOGIN; CREATE SCHEMA {role} AUTHORIZATION {role}")).await;
    let url = server.url().replace("user=soapstone", &format!("user={role}"));
    let own = PostgresSettings { url: url.into(), ..all.clone() };
    assert!(!apply(&own).await.expect("applied").is_empty());
    let store = open(&own, at(0)).await;
    store.accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    store.close().await;
    let elsewhere = PostgresSettings { schema: format!("{role}_other"), ..own };
    let error = apply(&elsewhere).await.expect_err("refused").to_string();
    assert!(error.contains("permission denied for database"), "{error}");
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_left_alone() {
    let Some(server) = server::server() else { return };
    let own = Own::new(settings(server)).await;
    own.store.close().await;
    run(&own.settings, "INSERT INTO schema_version (version) VALUES (99)").await;
    let error = PostgresStore::open(own.settings.clone(), at(0)).await.expect_err("too new").to_string();
    assert!(error.contains("schema 99") && error.contains("start the newer program"), "{error}");
}

#[tokio::test]
async fn the_newest_samples_are_kept_and_cut() {
    let Some(server) = server::server() else { return };
    let own = Own::new(settings(server)).await;
    for number in 0..5 {
        let sample = Sample {
            source: "main".into(),
            received_at: at(number),
            reason: number.to_string(),
            body: vec![0xff; 20_000],
        };
        own.store().keep_sample(sample).await.expect("kept");
    }
    let mut session = own.store.db.session().await.expect("a session");
    let rows = session.rows("SELECT reason, length(body) FROM sample ORDER BY seq", &[]).await.expect("rows");
    let kept: Vec<(String, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(kept, ["2", "3", "4"].map(|reason| (reason.to_owned(), 16_384)));
}

/// A statement as the server would carry it out, whatever the values are.
async fn explained(session: &mut Session, name: &str, sql: &str) -> String {
    let values = session.prepare(sql).await.expect("prepared").params().len();
    session.batch_execute(&format!("PREPARE {name} AS {sql}")).await.expect("prepared");
    let nulls = if values == 0 { String::new() } else { format!("({})", vec!["NULL"; values].join(", ")) };
    let rows = session.query(&format!("EXPLAIN EXECUTE {name}{nulls}"), &[]).await.expect("explained");
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_verb_goes_by_an_index() {
    let Some(server) = server::server() else { return };
    let own = Own::new(settings(server)).await;
    let offers = (0..1000).map(|account| own.store().accept(event(None, account, at(1)), to("a")));
    futures::future::try_join_all(offers).await.expect("accepted");
    // most are done, as they are in the long run
    let claimed = own.store().claim(at(1), want("a", 900)).await.expect("claimed");
    let record = |one| own.store().record(Record { last: Some("{}".into()), ..delivered(one) });
    futures::future::try_join_all(claimed.iter().map(record)).await.expect("recorded");
    run(&own.settings, "ANALYZE").await;
    let mut session = own.store.db.session().await.expect("a session");
    let cases = [
        (claim::DUE, "lane_due"),
        (claim::NEXT_DUE, "lane_due"),
        (claim::TAKE, "delivery_pkey"),
        (claim::TAKEN, "delivery_flying"),
        (lane::LOCK, "lane_pkey"),
        (lane::PLACED, "delivery_pkey"),
        (lane::SUPERSEDE, "delivery_latest"),
        (lane::ADVANCE, "delivery_lane"),
        (lane::HURRY, "delivery_lane"),
        (record::OVERDUE, "awaiting_deadline"),
        (statuses::CLAIM, "status_due"),
        (statuses::NEXT_DUE, "status_due"),
        (query::IN_STATE, "delivery_waiting"),
        (query::OLDEST_PENDING, "delivery_waiting"),
        (accept::SAME_EVENTS, "event_same_key"),
        (prune::BODIES, "attempt_bodies"),
        (control::DELIVERED, "last_delivered_handler"),
    ];
    for (number, (sql, index)) in cases.into_iter().enumerate() {
        let plan = explained(&mut session, &format!("p{number}"), sql).await;
        assert!(plan.contains(index), "{sql}\n{plan}");
        // Pauses, gateways and counts are few.
        let scans = plan.lines().filter(|line| line.contains("Seq Scan on"));
        let few = ["pause", "gateway", "tally", "tally_change"].map(|table| format!("Seq Scan on {table} "));
        let long: Vec<_> = scans.filter(|line| !few.iter().any(|few| line.contains(few))).collect();
        assert!(long.is_empty(), "{long:?}\n{plan}");
    }
    // what is selected, too
    let select = |state: Option<&str>, event_type: Option<&str>| Select {
        state: state.map(str::to_owned),
        event_type: event_type.map(str::to_owned),
        ..Select::default()
    };
    let selects = [
        (select(Some("parked"), None), "delivery_waiting"),
        (select(None, Some("Subscriber/Closed")), "event_type"),
        (select(Some("pending"), Some("Subscriber/Closed")), "delivery_waiting"),
    ];
    for (number, (select, index)) in selects.into_iter().enumerate() {
        let plan = explained(&mut session, &format!("s{number}"), &query::selected(&select, -1, 9).sql).await;
        assert!(plan.contains(index), "{plan}");
    }
    // whoever looks for what came before some time doesn't look at all that came since
    let until = Select { handler: Some("a".into()), until: Some(at(1)), ..Select::default() };
    let plan = explained(&mut session, "until", &query::selected(&until, -1, 9).sql).await;
    assert!(plan.lines().any(|line| line.contains("Index Cond:") && line.contains("seq <= ")), "{plan}");
    // The longest due come first without all others being sorted.
    let plan = explained(&mut session, "due", claim::DUE).await;
    let lateral = plan.split("LockRows").nth(1).expect("a lock");
    assert!(lateral.lines().nth(1).is_some_and(|line| !line.contains("Sort")), "{plan}");
}

#[tokio::test]
async fn a_plan_that_is_made_while_the_tables_are_empty_serves_when_they_are_full() {
    let Some(server) = server::server() else { return };
    let own = Own::new(settings(server)).await;
    let mut session = own.store.db.session().await.expect("a session");
    let cases = [
        claim::DUE,
        claim::TAKE,
        claim::TAKEN,
        lane::LOCK,
        lane::PLACED,
        lane::SUPERSEDE,
        lane::ADVANCE,
        lane::HURRY,
        accept::SAME_EVENTS,
    ];
    for (number, sql) in cases.into_iter().enumerate() {
        let plan = explained(&mut session, &format!("e{number}"), sql).await;
        // all that wait
        assert!(!plan.contains("delivery_waiting"), "{sql}\n{plan}");
    }
}
