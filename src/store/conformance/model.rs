//! The order against a model in memory: whatever is accepted, claimed, recorded, called back, replayed, cancelled, paused and
//! interrupted in whatever order, and whatever goes wrong meanwhile, nothing overtakes, one at a time is on its way per handler
//! and subject, nothing is lost, and attempts add up.
//!
//! When something goes wrong during a step (the power fails, the disk is full, a connection breaks at the commit), the step has
//! been done or not, never half; what was answered with yes has been done. The model goes on with what it finds.
//!
//! `PROPTEST_CASES` says how many cases there are (500).

mod beside;
mod faults;
mod steps;
mod way;
mod world;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use futures::FutureExt;
use jiff::SignedDuration;
use proptest::test_runner::{Config, TestRunner};

use self::faults::Tally;
use self::steps::{Step, steps};
use self::world::World;
use super::*;
use crate::handler::{Retries, RetrySchedule};

/// Handlers by name, with their order.
const HANDLERS: [(&str, Order); 3] =
    [("skip", Order::Skip), ("strict", Order::Strict), ("latest", Order::Latest)];

/// A handler and an account.
type LaneOf = (usize, u32);

struct Model<'b, B> {
    bench: &'b mut B,
    case: u32,
    now: Timestamp,
    /// How many events.
    offered: i64,
    /// How many outcomes there were to record.
    told: Cell<i64>,
    world: World,
    /// What it would be if a step had been done that failed: it may turn out to be so when the store is opened again, as long
    /// as nothing else was done.
    ghosts: Vec<World>,
    retries: Retries,
    /// Nothing goes wrong just now.
    calm: bool,
    /// Lanes of which an attempt was recorded that may not be in order yet.
    freed: BTreeSet<LaneOf>,
}

/// Whether a step was done: what it does is in the world already.
type Done = Result<(), StoreError>;

impl<B: Frail> Model<'_, B> {
    fn handler(&self, handler: usize) -> String {
        format!("{}-{}", HANDLERS[handler].0, self.case)
    }

    fn account(&self, account: u32) -> u32 {
        self.case * 10 + account
    }

    fn scope(&self, what: usize) -> Scope {
        match what {
            0 => Scope::Everything,
            1 => Scope::Connector("c".into()),
            2..=4 => Scope::Handler(self.handler(what - 2)),
            _ => Scope::Subject(subject(self.account(u32::try_from(what - 5).expect("few")))),
        }
    }

    async fn take(&mut self, step: Step, tally: &mut Tally) {
        // in half of the cases all happens at the same time, unless somebody waits: what came first isn't for clocks to say
        if self.case.is_multiple_of(2) {
            self.now += SignedDuration::from_micros(1);
        }
        if std::mem::take(&mut self.world.to_file) {
            self.bench.store().backlog().await.expect("an answer");
        }
        match step {
            Step::Wait { seconds } => self.now += SignedDuration::from_secs(seconds),
            Step::Crash => {
                self.bench.reopen(self.now).await;
                let possible = vec![self.world.clone()];
                let found = self.look_for(&possible).await;
                let possible = self.begin_anew(possible, &found);
                self.find(possible).await.unwrap_or_else(|differ| panic!("{differ}"));
            }
            Step::Trouble { trouble, step } => self.trouble(trouble, *step, tally).await,
            step => {
                let before = self.world.clone();
                let arrives = step.arrives();
                if step.names() {
                    self.learn().await;
                }
                self.step(step).await.expect("done");
                if !arrives && !self.world.is_as(&before) {
                    self.ghosts.clear();
                }
            }
        }
    }

    async fn step(&mut self, step: Step) -> Done {
        match step {
            Step::Accept { account, handlers, ago } => self.accept(account, handlers, ago).await,
            Step::Burst { account, handlers, many } => {
                for at in 0..many {
                    self.accept((account + u32::try_from(at).expect("few")) % 3, handlers, 0).await?;
                }
                Ok(())
            }
            Step::AcceptAgain { which } => self.accept_again(which).await,
            Step::Claim { handler, limit } => self.claim(handler, limit).await,
            Step::End { which, outcome } => self.end(which, &outcome).await,
            Step::EndAgain { which } => self.end_again(which).await,
            Step::Release { which, seconds } => self.release(which, seconds).await,
            Step::CallBack { which, outcome } => self.call_back(which, &outcome).await,
            Step::Overdue => self.overdue().await,
            Step::Replay { which, gap } => self.replay(&which, gap).await,
            Step::Cancel { which } => self.cancel(&which).await,
            Step::Subscribe { which, handler } => self.subscribe(&which, handler).await,
            Step::Pause { what } => {
                self.world.paused.insert(what);
                let pause = Pause { scope: self.scope(what), at: self.now, reason: None };
                self.bench.store().pause(pause).await
            }
            Step::Resume { what } => {
                let was = self.world.paused.remove(&what);
                let ended = self.bench.store().resume(self.scope(what)).await;
                ended.map(|ended| assert_eq!(ended, was))
            }
            Step::Wait { .. } | Step::Crash | Step::Trouble { .. } => Ok(()),
        }
    }
}

async fn run<B: Frail>(bench: &mut B, case: u32, steps: Vec<Step>, tally: &mut Tally) {
    let schedule = RetrySchedule { tries: 3, then: vec![], ..RetrySchedule::default() };
    let (world, retries) = (World::default(), schedule.into());
    let mut model = Model {
        bench,
        case,
        now: at(0),
        offered: 0,
        told: Cell::new(0),
        world,
        ghosts: vec![],
        retries,
        calm: true,
        freed: BTreeSet::new(),
    };
    for step in steps {
        model.take(step, tally).await;
    }
    let possible = vec![model.world.clone()];
    model.find(possible).await.unwrap_or_else(|differs| panic!("{differs}"));
    model.statuses().await;
    for what in 0..8 {
        model.bench.store().resume(model.scope(what)).await.expect("an answer");
    }
}

pub(crate) fn nothing_overtakes_and_nothing_is_lost<B, F>(bench: impl Fn() -> F)
where
    B: Frail,
    F: Future<Output = Option<B>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // where there is no such store, that is said already
    let Some(first) = runtime.block_on(bench()) else { return };
    let shared = AssertUnwindSafe(Mutex::new((Some(first), 0, Tally::default())));
    let bench = AssertUnwindSafe(bench);
    let given = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config { cases: given.unwrap_or(500), failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&steps(), |steps| {
        let mut shared = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (kept, case, tally) = &mut *shared;
        *case += 1;
        let bench = &*bench;
        runtime.block_on(async {
            // one that a case leaves behind that failed isn't used again
            let mut used = match kept.take() {
                Some(used) => used,
                None => bench().await.expect("one more"),
            };
            let ran = AssertUnwindSafe(run(&mut used, *case, steps, tally)).catch_unwind().await;
            match ran {
                Ok(()) if *case % B::CASES != 0 => *kept = Some(used),
                Ok(()) => used.close().await,
                Err(panicked) => {
                    used.close().await;
                    std::panic::resume_unwind(panicked);
                }
            }
        });
        Ok(())
    });
    let (_, cases, tally) = &*shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    eprintln!("{cases} cases; {tally}");
    if let Err(error) = result {
        panic!("{error}");
    }
}
