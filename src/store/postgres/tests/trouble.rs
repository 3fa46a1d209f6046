//! Trouble with the database: connections that break, in the middle of a commit too, and servers that say no.

use super::wire::{Cut, Wire};
use super::*;
use crate::delivery::State;
use crate::store::conformance::{claim_one, delivered, delivery_of, event, no_more, to, want};

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_of_a_commit_loses_and_doubles_nothing() {
    let Some(server) = server::server() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let wire = Arc::new(Wire::default());
    Arc::clone(&wire).serve(folder.path(), server.socket());
    let direct = settings(server);
    let url = format!("host={} port=5432 user=soapstone dbname=postgres", folder.path().display());
    let hour = Duration::from_secs(3600);
    let own = Own::new(PostgresSettings { url: url.into(), heartbeat: hour, lease: hour, ..direct }).await;
    for (round, what) in [Cut::BeforeCommit, Cut::AfterCommit].into_iter().cycle().take(10).enumerate() {
        let made = event(Some(i64::try_from(round).expect("few")), 1, at(1));
        wire.arm(what, 1);
        assert_eq!(own.store().accept(made.clone(), to("a")).await, Ok(Accepted::New(made.id)));
        wire.arm(what, 1);
        let claimed = claim_one(&own, "a", 1).await;
        assert_eq!(claimed.event.id, made.id);
        assert_eq!(claimed.claim, 1);
        wire.arm(what, 1);
        assert_eq!(own.store().record(delivered(&claimed)).await, Ok(()));
        let (delivery, attempts) = delivery_of(&own, made.id).await;
        assert_eq!((delivery.state, attempts.len()), (State::Delivered { at: at(2) }, 1));
        // what is lost here nobody repeats by itself: it may have been done
        wire.arm(what, 1);
        let replayed = own.store().replay(vec![delivery.id], at(1), Duration::ZERO).await;
        let (now, _) = delivery_of(&own, made.id).await;
        match (what, replayed) {
            (Cut::BeforeCommit, Err(StoreError::Unavailable)) => {
                assert_ne!(now.state, State::Pending { due: at(1) })
            }
            (Cut::AfterCommit, Err(StoreError::Unavailable)) => {
                assert_eq!(now.state, State::Pending { due: at(1) })
            }
            (_, answer) => panic!("{answer:?}"),
        }
        own.store().cancel(vec![delivery.id], no_more(2, "enough")).await.expect("cancelled");
    }
    let broken = wire.cuts();
    assert!((39..=41).contains(&broken), "{broken}");
    let backlog = own.store().backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.pending, backlog.in_flight, backlog.delivered + backlog.cancelled), (0, 0, 10));
}

#[tokio::test]
async fn what_a_claim_took_that_the_server_carried_out_late_is_given_back() {
    let Some(server) = server::server() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let wire = Arc::new(Wire::default());
    Arc::clone(&wire).serve(folder.path(), server.socket());
    let url = format!("host={} port=5432 user=soapstone dbname=postgres", folder.path().display());
    let hour = Duration::from_secs(3600);
    let settings = PostgresSettings { url: url.into(), heartbeat: hour, lease: hour, ..settings(server) };
    let own = Own::new(settings).await;
    for account in 1..=2 {
        let made = event(None, account, at(account.into()));
        own.store().accept(made, to("a")).await.expect("accepted");
    }
    wire.arm(Cut::Late, 1);
    // while the commit is under way the next try goes round what it has taken
    let other = own.store().claim(at(3), want("a", 1)).await.expect("claimed").remove(0);
    assert_eq!(other.event.subject.id, "2");
    own.store.keeper.tidy(at(4)).await.expect("tidied");
    wire.let_on();
    wire.disarm().await;
    assert_eq!(own.store().claim(at(5), want("a", 9)).await.map(|claimed| claimed.len()), Ok(0));
    own.store.keeper.tidy(at(5)).await.expect("tidied");
    let claimed = claim_one(&own, "a", 5).await;
    assert_eq!((claimed.event.subject.id.as_str(), claimed.claim, claimed.delivery.attempts), ("1", 2, 0));
    // what is in hand stays there
    own.store.keeper.tidy(at(6)).await.expect("tidied");
    for one in [claimed, other] {
        own.store().record(delivered(&one)).await.expect("recorded");
    }
}

#[tokio::test]
async fn connections_that_an_administrator_ends_are_made_anew() {
    let Some(server) = server::server() else { return };
    let own = Own::new(settings(server)).await;
    for round in 0..5 {
        own.store().accept(event(Some(round), 1, at(1)), to("a")).await.expect("accepted");
        let schema = &own.settings.schema;
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE pid <> pg_backend_pid() AND pid IN (
                SELECT pid FROM pg_locks WHERE relation = '{schema}.event'::regclass
                UNION SELECT pid FROM pg_stat_activity WHERE query LIKE '%LISTEN soapstone_{schema}%')
                OR application_name = '{schema}'"
        );
        run(&own.settings, &sql).await;
        let claimed = claim_one(&own, "a", 1).await;
        own.store().record(delivered(&claimed)).await.expect("recorded");
        assert_eq!(own.store().ready().await, Ok(()));
    }
}

#[tokio::test]
async fn a_database_that_says_no_is_quoted() {
    let Some(server) = server::server() else { return };
    let own = Own::new(settings(server)).await;
    own.store.close().await;
    let reject = |settings: PostgresSettings| async move {
        PostgresStore::open(settings, at(1)).await.expect_err("refused")
    };
    let url = format!("{} options='-c default_transaction_read_only=on'", server.url());
    let error = reject(PostgresSettings { url: url.into(), ..own.settings.clone() }).await;
    assert!(matches!(&error, StoreError::Failed(words) if words.contains("read-only")), "{error}");
    let url = server.url().replace("dbname=postgres", "dbname=nowhere");
    let error = reject(PostgresSettings { url: url.into(), ..own.settings.clone() }).await;
    assert!(matches!(&error, StoreError::Failed(words) if words.contains("nowhere")), "{error}");
    let url = "host=/nowhere user=soapstone";
    let error = reject(PostgresSettings { url: url.to_owned().into(), ..own.settings.clone() }).await;
    assert_eq!(error, StoreError::Unavailable);
    let error = reject(PostgresSettings { schema: "a b".into(), ..own.settings.clone() }).await;
    assert!(error.to_string().contains("no name for a schema"), "{error}");
    assert_eq!(own.store().ready().await, Err(StoreError::Unavailable), "it is closed");
}

#[tokio::test]
async fn a_server_that_only_reads_is_passed_over() {
    let (Some(server), Some(standby)) = (server::server(), server::standby()) else { return };
    run(&settings(standby), "ALTER DATABASE postgres SET default_transaction_read_only = on").await;
    let folder = |server: &server::Server| server.socket().parent().expect("a folder").display().to_string();
    let both = format!("{},{}", folder(standby), folder(server));
    let url = server.url().replace(&folder(server), &both);
    let settings = PostgresSettings { url: url.clone().into(), ..settings(server) };
    let own = Own::new(settings.clone()).await;
    assert_eq!(own.store().ready().await, Ok(()));
    own.store.close().await;
    // whoever says what is wanted gets that
    let url = format!("{url} target_session_attrs=any");
    let any = PostgresSettings { url: url.into(), ..settings };
    let error = PostgresStore::open(any, at(1)).await.expect_err("refused").to_string();
    assert!(error.contains("25006"), "{error}");
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_letter_is_refused() {
    let Some(server) = server::server() else { return };
    let all = settings(server);
    let name = &all.schema;
    let create =
        format!("CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    run(&all, &create).await;
    let url = server.url().replace("dbname=postgres", &format!("dbname={name}"));
    let narrow = PostgresSettings { url: url.into(), ..all.clone() };
    for error in [
        PostgresStore::open(narrow.clone(), at(1)).await.expect_err("refused"),
        plan(&narrow).await.expect_err("refused"),
        apply(&narrow).await.expect_err("refused"),
    ] {
        let said = ["LATIN1", "ENCODING 'UTF8'"];
        assert!(
            matches!(&error, StoreError::Failed(words) if said.iter().all(|said| words.contains(said))),
            "{error}"
        );
    }
}

#[tokio::test]
async fn one_that_is_refused_takes_nobody_with_it() {
    let Some(server) = server::server() else { return };
    let own = Own::new(settings(server)).await;
    // the database is made to refuse some
    let sql = "ALTER TABLE event ADD CONSTRAINT odd CHECK (source <> 'odd' OR hashtextextended(source, 0)::int2 = 0)";
    run(&own.settings, sql).await;
    let offers = (0..20).map(|number| {
        let source = if number == 7 { "odd" } else { "main" }.to_owned();
        own.store().accept(Event { source, ..event(Some(number), 1, at(1)) }, to("a"))
    });
    let answers = futures::future::join_all(offers).await;
    assert!(matches!(answers[7], Err(StoreError::Rejected(_))), "{:?}", answers[7]);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 19);
    let backlog = own.store().backlog().await.expect("an answer").remove(0);
    assert_eq!(backlog.pending, 19);
    assert_eq!(own.store().claim(at(1), want("a", 9)).await.expect("claimed").len(), 1);
}
