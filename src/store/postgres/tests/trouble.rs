//! Trouble with the database: connections that break, in the middle of a commit too, and servers that say no.

use std::path::Path;
use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::*;
use crate::delivery::State;
use crate::store::conformance::{claim_one, delivered, delivery_of, event, to, want};

/// Lets through, and then breaks connections at a commit.
#[derive(Default)]
struct Breaks {
    next: AtomicUsize,
    broken: AtomicUsize,
}

/// What is done to the next commit.
const PASS: usize = 0;
const LOSE_COMMIT: usize = 1;
const LOSE_ANSWER: usize = 2;

impl Breaks {
    fn arm(&self, what: usize) {
        self.next.store(what, Ordering::SeqCst);
    }

    /// Between the store and the server, on a socket in this folder.
    async fn serve(self: Arc<Self>, folder: &Path, server: &Path) {
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).expect("a socket");
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&server).await.expect("the server");
                tokio::spawn(Arc::clone(&self).pass(client, server));
            }
        });
    }

    async fn pass(self: Arc<Self>, mut client: UnixStream, mut server: UnixStream) {
        let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let Ok(length @ 1..) = read else { return };
                    let asked = &asked[..length];
                    let commits = asked.windows(7).any(|bytes| bytes == b"COMMIT\0");
                    let what = if commits { self.next.swap(PASS, Ordering::SeqCst) } else { PASS };
                    if what != PASS {
                        self.broken.fetch_add(1, Ordering::SeqCst);
                    }
                    if what == LOSE_COMMIT {
                        return;
                    }
                    server.write_all(asked).await.expect("written");
                    if what == LOSE_ANSWER {
                        // it is carried out once the server answers
                        let mut tail = Vec::new();
                        while !tail.windows(7).any(|bytes| bytes == b"COMMIT\0") {
                            let length = server.read(&mut answered).await.expect("an answer");
                            tail.extend_from_slice(&answered[..length]);
                        }
                        return;
                    }
                }
                read = server.read(&mut answered) => {
                    let Ok(length @ 1..) = read else { return };
                    if client.write_all(&answered[..length]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_of_a_commit_loses_and_doubles_nothing() {
    let Some(server) = server::server() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let breaks = Arc::new(Breaks::default());
    Arc::clone(&breaks).serve(folder.path(), &server.socket()).await;
    let direct = settings(server);
    let url = format!("host={} port=5432 user=soapstone dbname=postgres", folder.path().display());
    let hour = Duration::from_secs(3600);
    let own = Own::new(PostgresSettings { url: url.into(), heartbeat: hour, lease: hour, ..direct }).await;
    for (round, what) in [LOSE_COMMIT, LOSE_ANSWER].into_iter().cycle().take(10).enumerate() {
        let made = event(Some(i64::try_from(round).expect("few")), 1, at(1));
        breaks.arm(what);
        assert_eq!(own.store().accept(made.clone(), to("a")).await, Ok(Accepted::New(made.id)));
        breaks.arm(what);
        let claimed = claim_one(&own, "a", 1).await;
        assert_eq!(claimed.event.id, made.id);
        assert_eq!(claimed.claim, 1);
        breaks.arm(what);
        assert_eq!(own.store().record(delivered(&claimed)).await, Ok(()));
        let (delivery, attempts) = delivery_of(&own, made.id).await;
        assert_eq!((delivery.state, attempts.len()), (State::Delivered { at: at(2) }, 1));
        // what is lost here nobody repeats by itself: it may have been done
        breaks.arm(what);
        let replayed = own.store().replay(vec![delivery.id], at(1), Duration::ZERO).await;
        let (now, _) = delivery_of(&own, made.id).await;
        match (what, replayed) {
            (LOSE_COMMIT, Err(StoreError::Unavailable)) => {
                assert_ne!(now.state, State::Pending { due: at(1) })
            }
            (LOSE_ANSWER, Err(StoreError::Unavailable)) => {
                assert_eq!(now.state, State::Pending { due: at(1) })
            }
            (_, answer) => panic!("{answer:?}"),
        }
        own.store().cancel(vec![delivery.id], at(2), "enough".into()).await.expect("cancelled");
    }
    let broken = breaks.broken.load(Ordering::SeqCst);
    assert!((39..=41).contains(&broken), "{broken}");
    let backlog = own.store().backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.pending, backlog.in_flight, backlog.delivered + backlog.cancelled), (0, 0, 10));
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
