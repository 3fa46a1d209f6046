//! The store on a server that connections to break, that runs out of disk, that is killed; and with a lease that runs out.

use std::sync::Arc;

use tokio_postgres::Client;

use super::wire::{Cut, Wire};
use super::*;
use crate::store::conformance::{Flights, Frail, Trouble};

/// A store with a wire that can be cut.
pub(super) struct OnWire {
    own: Own,
    server: &'static server::Server,
    wire: Arc<Wire>,
    /// Where the wire begins.
    _folder: tempfile::TempDir,
    /// To the same schema, beside the wire.
    address: Address,
    beside: Client,
    fault: Option<Fault>,
    seed: u64,
}

#[derive(Debug)]
enum Fault {
    /// How often it had been cut before.
    Cut(usize),
    Full(&'static str),
    Lease,
    Killed(tokio::task::JoinHandle<()>),
}

/// Counts how often it is called, whatever becomes of the transaction.
const FULL: &str = "\
    CREATE SEQUENCE struck;
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM nextval('struck');
            RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'no space left on device';
        END $$";

pub(super) async fn frail() -> Option<OnWire> {
    let server = server::forgetful()?;
    let folder = tempfile::tempdir().expect("a folder");
    let wire = Arc::new(Wire::default());
    Arc::clone(&wire).serve(folder.path(), server.socket());
    let beside = settings(server);
    let url = format!("host={} port=5432 user=soapstone dbname=postgres", folder.path().display());
    // by themselves its tasks do nothing; a verb that fails is tried once more
    let hour = Duration::from_secs(3600);
    let through =
        PostgresSettings { url: url.into(), heartbeat: hour, lease: hour, tries: 2, ..beside.clone() };
    let own = Own::new(through).await;
    let address = Address::new(&beside).expect("an address");
    let beside = address.connect().await.expect("a connection");
    beside.batch_execute(FULL).await.expect("done");
    Some(OnWire { own, server, wire, _folder: folder, address, beside, fault: None, seed: 0 })
}

const EXPIRE: &str = "UPDATE gateway SET lease_until = '-infinity'";

impl OnWire {
    async fn run(&self, sql: &str) {
        self.beside.batch_execute(sql).await.expect("done");
    }

    fn cut(&mut self, cut: Cut, times: u32) -> Fault {
        self.wire.arm(cut, times);
        Fault::Cut(self.wire.cuts())
    }

    /// Until the server and the store are there again, and nothing that was interrupted goes on.
    async fn settle(&self, now: Timestamp) {
        self.wire.disarm().await;
        let mut tries = 0;
        while let Err(error) = self.own.store.ready().await {
            tries += 1;
            assert!(tries < 100, "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.run("BEGIN; LOCK TABLE event, lane, delivery, gateway IN EXCLUSIVE MODE; COMMIT").await;
        self.own.store.keeper.tidy(now).await.expect("tidy");
    }
}

#[async_trait]
impl Bench for OnWire {
    fn store(&self) -> &dyn Control {
        &self.own.store
    }

    async fn reopen(&mut self, now: Timestamp) {
        self.own.reopen(now).await;
    }
}

#[async_trait]
impl Frail for OnWire {
    const CASES: u32 = u32::MAX;
    const TAKES_ITS_TIME: bool = false;

    async fn strike(&mut self, Trouble { what, after, seed }: Trouble) -> &'static str {
        let times = 1 + u32::try_from(seed % 3).expect("few");
        // a server takes a while to begin anew
        let kills = (what / 16).is_multiple_of(20);
        let (fault, name) = match what % 16 {
            0..=2 => (self.cut(Cut::BeforeCommit, times), "cut before a commit"),
            3..=4 => (self.cut(Cut::InCommit, times), "cut in a commit"),
            5..=7 => (self.cut(Cut::AfterCommit, times), "cut after a commit"),
            8..=9 => {
                let table = ["event", "delivery", "attempt", "lane", "tally_change"];
                let table = table[usize::try_from(seed % 5).expect("few")];
                self.run(&format!(
                    "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION full_disk()"
                ))
                .await;
                (Fault::Full(table), "disk full")
            }
            10..=11 => {
                if seed.is_multiple_of(2) {
                    self.run(EXPIRE).await;
                }
                (Fault::Lease, "lease lost")
            }
            12 if kills => {
                let server = self.server;
                (Fault::Killed(tokio::task::spawn_blocking(|| server.crash())), "server killed")
            }
            _ => (self.cut(Cut::After(after % 16), times), "cut anywhere"),
        };
        (self.fault, self.seed) = (Some(fault), seed);
        name
    }

    async fn pass(&mut self, now: Timestamp) -> (bool, Flights) {
        let answer = match self.fault.take() {
            None => (false, Flights::GoOn),
            Some(Fault::Cut(before)) => (self.wire.cuts() > before, Flights::GoOn),
            Some(Fault::Killed(server)) => {
                server.await.expect("it runs again");
                self.beside = self.address.connect().await.expect("a connection");
                (true, Flights::GoOn)
            }
            Some(Fault::Full(table)) => {
                self.run(&format!("DROP TRIGGER full_disk ON {table}")).await;
                let struck =
                    self.beside.query_one("SELECT is_called FROM struck", &[]).await.expect("an answer");
                self.run("SELECT setval('struck', 1, false)").await;
                (struck.get(0), Flights::GoOn)
            }
            Some(Fault::Lease) => {
                if !self.seed.is_multiple_of(2) {
                    self.run(EXPIRE).await;
                }
                let session = self.own.store.db.session().await.expect("a session");
                let taken = lease::take_over(session, Uuid::new_v4(), now).await.expect("taken over");
                match taken.gateways {
                    0 => (false, Flights::GoOn),
                    _ => (true, Flights::Interrupted),
                }
            }
        };
        self.settle(now).await;
        answer
    }

    async fn close(&self) {
        self.wire.disarm().await;
        self.own.store.close().await;
    }
}
