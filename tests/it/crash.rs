//! The real gateway, killed at random instants under load and started again on the same store: nothing that was
//! acknowledged is lost, nothing overtakes, attempts add up.
//!
//! `SOAPSTONE_CRASH_ROUNDS` says how often (50), `SOAPSTONE_SEED` which instants; the seed is printed at the start.

mod account;
mod load;
mod process;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use soapstone::simulator::{Simulator, SimulatorSettings};

use crate::harness::PATIENCE;
use crate::whole_way::external::External;
use crate::whole_way::stage::eventually;
use account::Account;
use load::Load;
use process::Process;

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

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_instant_it_loses_nothing_and_keeps_the_order() {
    let rounds = setting("SOAPSTONE_CRASH_ROUNDS").unwrap_or(50);
    let seed = setting("SOAPSTONE_SEED").unwrap_or_else(|| jiff::Timestamp::now().as_microsecond() as u64);
    println!("SOAPSTONE_SEED={seed} SOAPSTONE_CRASH_ROUNDS={rounds}");
    let mut dice = Dice(seed);

    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = SimulatorSettings { accounts: LANES, ..SimulatorSettings::default() };
    let simulator = Simulator::start(local, settings).await.unwrap();
    let external = External::forgetful().await;
    let ids = simulator.world(|world| world.account_ids());
    let account = Arc::new(Account::new(&ids));
    external.answer(account.script());
    let mut process = Process::prepare(&simulator.url(), external.address).await;
    let mut load = Load::start(process.intake, Arc::clone(&account));

    for _ in 0..rounds {
        process.start();
        kill_time(&mut dice, &mut process, &load, &account).await;
        process.kill();
        load.check();
    }

    process.start();
    process.ready().await;
    load.end().await;
    eventually("everything is applied", async || account.all_applied().then_some(())).await;
    process.settled().await;
    account.check_applied();
    account.check_operator(&process).await;
    assert!(rounds < 20 || account.interrupted() > 0, "no kill has hit an attempt: the load is too light");
    for i_account in ids {
        eventually("the last status is OK", async || {
            let status = |written: &soapstone::simulator::WrittenStatus| written.status.clone();
            let now =
                simulator.world(|world| world.statuses().get(&(i_account, "HSS".to_owned())).map(status));
            (now.as_deref() == Some("OK")).then_some(())
        })
        .await;
    }
    println!("{account}");
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
