//! The real gateway, killed at random instants under load and started again on the same store: nothing that was
//! acknowledged is lost, nothing overtakes, attempts add up.
//!
//! `SOAPSTONE_CRASH_ROUNDS` says how often it is killed (50), `SOAPSTONE_FREEZE_ROUNDS` how often one of three is frozen or killed
//! (6), `SOAPSTONE_SEED` at which instants; the seed is printed at the start.

mod account;
mod leases;
mod load;
#[path = "../../src/store/postgres/tests/server.rs"]
pub(crate) mod postgres;
pub(crate) mod process;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use soapstone::simulator::{Simulator, SimulatorSettings};

use crate::harness::PATIENCE;
use crate::whole_way::external::External;
use crate::whole_way::stage::eventually;
use account::Account;
use leases::Leases;
use load::Load;
use postgres::Server;
use process::{Process, Store};

/// How many subjects are busy.
const LANES: usize = 24;

/// A number of the environment.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Numbers that look random, the same for the same seed (Knuth's MMIX).
pub(crate) struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The parties: accounts, a simulated PortaBilling, an external system that writes down what it is told.
struct Parties {
    simulator: Simulator,
    external: External,
    account: Arc<Account>,
}

impl Parties {
    async fn gather() -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = SimulatorSettings { accounts: LANES, ..SimulatorSettings::default() };
        let simulator = Simulator::start(local, settings).await.unwrap();
        let external = External::forgetful().await;
        let account = Arc::new(Account::new(&simulator.world(|world| world.account_ids())));
        external.answer(account.script());
        Self { simulator, external, account }
    }

    async fn gateway(&self, store: &Store) -> Process {
        Process::prepare(&self.simulator.url(), self.external.address, store).await
    }

    /// Waits until all that was acknowledged is applied and recorded, and its status written.
    async fn at_rest(&self, process: &mut Process, load: Load) {
        process.ready().await;
        load.end().await;
        eventually("everything is applied", async || self.account.all_applied().then_some(())).await;
        process.settled().await;
        for i_account in self.account.ids() {
            eventually("the last status is OK", async || {
                let status = |written: &soapstone::simulator::WrittenStatus| written.status.clone();
                let statuses = |world: &mut soapstone::simulator::World| {
                    world.statuses().get(&(i_account, "HSS".to_owned())).map(status)
                };
                (self.simulator.world(|world| statuses(world)).as_deref() == Some("OK")).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_instant_it_loses_nothing_and_keeps_the_order() {
    killed(&Store::File, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_a_database_that_is_killed_too_it_loses_nothing_and_keeps_the_order() {
    let Some(server) = postgres::mortal() else { return };
    let store = Store::Database { url: server.url(), schema: "killed".into() };
    killed(&store, Some(server)).await;
}

async fn killed(store: &Store, server: Option<&Server>) {
    let rounds = setting("SOAPSTONE_CRASH_ROUNDS").unwrap_or(50);
    let seed = setting("SOAPSTONE_SEED").unwrap_or_else(|| jiff::Timestamp::now().as_microsecond() as u64);
    println!("SOAPSTONE_SEED={seed} SOAPSTONE_CRASH_ROUNDS={rounds}");
    let mut dice = Dice(seed);
    let parties = Parties::gather().await;
    let account = Arc::clone(&parties.account);
    let mut process = parties.gateway(store).await;
    let mut load = Load::start(&[process.intake], Arc::clone(&account));

    for _ in 0..rounds {
        process.start();
        kill_time(&mut dice, &mut process, &load, &account).await;
        if let Some(server) = server.filter(|_| dice.below(5) == 0) {
            // the gateway lives on, and finds its way back
            tokio::task::block_in_place(|| server.crash());
            kill_time(&mut dice, &mut process, &load, &account).await;
        }
        process.kill();
        load.check();
    }

    process.start();
    parties.at_rest(&mut process, load).await;
    account.check_applied();
    account.check_operator(&process).await;
    assert!(rounds < 20 || account.interrupted() > 0, "no kill has hit an attempt: the load is too light");
    println!("{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_share_a_database_though_one_is_frozen_past_its_lease_or_killed() {
    let Some(server) = postgres::server() else { return };
    let rounds = setting("SOAPSTONE_FREEZE_ROUNDS").unwrap_or(6);
    let seed = setting("SOAPSTONE_SEED").unwrap_or_else(|| jiff::Timestamp::now().as_microsecond() as u64);
    println!("SOAPSTONE_SEED={seed} SOAPSTONE_FREEZE_ROUNDS={rounds}");
    let mut dice = Dice(seed);
    let parties = Parties::gather().await;
    let account = Arc::clone(&parties.account);
    let store = Store::Database { url: server.url(), schema: "shared".into() };
    let mut gateways = Vec::new();
    for _ in 0..3 {
        let mut process = parties.gateway(&store).await;
        process.start();
        process.ready().await;
        gateways.push(process);
    }
    let leases = Leases::watch(&server.url(), "shared").await;
    let intakes: Vec<_> = gateways.iter().map(|process| process.intake).collect();
    let mut load = Load::start(&intakes, Arc::clone(&account));

    for round in 0..rounds {
        let index = usize::try_from(dice.below(3)).unwrap();
        load.acknowledges(20 + dice.below(100)).await;
        if round % 3 == 2 {
            gateways[index].kill();
            load.acknowledges(50).await;
            gateways[index].start();
            gateways[index].ready().await;
        } else {
            gateways[index].freeze();
            // longer than the lease: the others take over what it has in hand, or else those accounts stand still
            tokio::time::sleep(Duration::from_millis(1200)).await;
            load.acknowledges(100).await;
            gateways[index].thaw();
        }
        load.check();
    }

    parties.at_rest(&mut gateways[0], load).await;
    let repeated = account.check_applied_once_woken();
    account.check_operator(&gateways[1]).await;
    assert!(account.interrupted() > 0, "nothing was taken over: the load is too light");
    let refused: usize = gateways.iter().map(Process::refused).sum();
    assert!(refused > 0, "nobody woke up with anything in hand: the load is too light");
    let (looks, flying) = leases.end().await;
    assert!(flying > 0, "{looks} looks, and nothing was in flight");
    println!(
        "sent again by those who woke up or took over: {repeated}; outcomes of those who woke up refused: {refused}; \
         {looks} looks into the database, {flying} in flight, each subject in one hand\n{account}"
    );
}

/// Waits for the instant: some time after the start, or the n-th acknowledgement, or the n-th request to the external
/// system from when it is up.
async fn kill_time(dice: &mut Dice, process: &mut Process, load: &Load, account: &Account) {
    let (kind, micros, count) = (dice.below(4), dice.below(400_000), 1 + dice.below(120));
    if kind > 0 {
        process.ready().await;
    }
    let happens = async {
        match kind {
            2 => load.acknowledges(count).await,
            3 => account.is_asked(count).await,
            _ => tokio::time::sleep(Duration::from_micros(micros)).await,
        }
    };
    if tokio::time::timeout(PATIENCE, happens).await.is_err() {
        panic!("nothing goes on ({kind}, {count}): {account:?}\n{}", process.metrics().await);
    }
}
