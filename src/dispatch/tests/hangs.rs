//! Systems that take a question and never answer: the attempt's time is over before anybody has said anything.

use super::gates::fragile;
use super::*;

/// A PortaBilling that never answers.
struct Hangs;

#[async_trait]
impl Enrich for Hangs {
    async fn pb_data(
        &self,
        _: &Event,
        _: &[Fetch],
        _: Option<&str>,
        _: Timestamp,
    ) -> Result<Option<Box<RawValue>>, EnrichError> {
        std::future::pending().await
    }
}

/// Short attempts and breakers that open soon, with a handler that asks both systems.
fn impatient() -> (Bench, Handler) {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    bench.settings.portabilling.breaker = fragile()["fake"].breaker;
    bench.settings.attempt_max = Duration::from_millis(20);
    (bench, Handler { fetch: vec![Fetch::AccountInfo], ..handler("hss") })
}

async fn breaker(bench: &Bench, name: &str) -> Option<Breaker> {
    let breakers = bench.store.breakers().await.expect("an answer");
    breakers.into_iter().find(|breaker| breaker.name == name)
}

async fn last_outcome(bench: &Bench, ended: &Ended) -> Outcome {
    let detail = bench.store.event(ended.event).await.expect("an answer").expect("the event");
    detail.deliveries[0].1.last().expect("an attempt").outcome.clone()
}

#[tokio::test]
async fn an_external_system_that_hangs_opens_its_breaker_and_a_probe_that_hangs_opens_it_for_longer() {
    let (mut bench, fetching) = impatient();
    let mut running = bench.run(vec![fetching]);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        drop(bench.call().await);
        let ended = running.ended().await;
        let Outcome::Retry { class, reason, .. } = last_outcome(&bench, &ended).await else { panic!() };
        assert_eq!(class, Failure::Unreachable);
        assert!(reason.contains("nothing from the external system"), "{reason}");
    }
    let opened = breaker(&bench, "connector:fake").await.expect("it has opened");
    assert_eq!(opened.state, BreakerState::Open { until: bench.now() + SignedDuration::from_secs(30) });
    assert!(breaker(&bench, "portabilling").await.is_none(), "it has answered each time");
    bench.accept(4, 4, &["hss"]).await;
    bench.pass(30);
    drop(bench.call().await);
    let ended = running.ended().await;
    let again = breaker(&bench, "connector:fake").await.expect("it is there");
    assert_eq!(again.state, BreakerState::Open { until: bench.now() + SignedDuration::from_secs(60) });
    let detail = bench.store.event(ended.event).await.expect("an answer").expect("the event");
    assert_eq!(detail.deliveries[0].0.tries, 0, "the outage costs no try");
}

#[tokio::test]
async fn a_portabilling_that_hangs_opens_its_own_breaker_and_is_named() {
    let (mut bench, fetching) = impatient();
    let mut worker = bench.worker(vec![fetching]);
    worker.enrich = Arc::new(Hangs);
    let mut running = Running::of(worker);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        let ended = running.ended().await;
        let Outcome::Retry { class, reason, .. } = last_outcome(&bench, &ended).await else { panic!() };
        assert_eq!(class, Failure::PortaBilling);
        assert!(reason.contains("nothing from PortaBilling"), "{reason}");
    }
    let opened = breaker(&bench, "portabilling").await.expect("it has opened");
    assert!(matches!(opened.state, BreakerState::Open { .. }));
    assert!(breaker(&bench, "connector:fake").await.is_none(), "it wasn't asked");
    assert!(bench.calls.try_recv().is_err());
    running.stop().await;
}
