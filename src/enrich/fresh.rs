//! A short cache that is never older than the event that asks: a burst of events costs one call, and none of them is
//! delivered with what was true before it happened.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use moka::future::Cache;
use portabilling::client::Error;

/// Answers by id, kept for a few seconds; one call at a time for an id, however many wait for it.
pub(super) struct Fresh<T> {
    answers: Cache<i64, Answer<T>>,
}

struct Answer<T> {
    /// When PortaBilling was asked.
    asked_at: Timestamp,
    value: Option<Arc<T>>,
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Self { asked_at: self.asked_at, value: self.value.clone() }
    }
}

impl<T: Send + Sync + 'static> Fresh<T> {
    /// Keeps at most `entries` answers, each for `keep`.
    pub(super) fn new(entries: u64, keep: Duration) -> Self {
        Self { answers: Cache::builder().max_capacity(entries).time_to_live(keep).build() }
    }

    /// The answer for `id`, asked for at or after `since`; `now` is when a call made now would be asked.
    pub(super) async fn get<F>(
        &self,
        id: i64,
        since: Timestamp,
        now: Timestamp,
        ask: impl Fn() -> F,
    ) -> Result<Option<Arc<T>>, Arc<Error>>
    where
        F: Future<Output = Result<Option<T>, Error>>,
    {
        // A call under way that began before `since` may be joined here; it is then too old, and the next one isn't,
        // so that the loop ends after three rounds at the most.
        for _ in 0..2 {
            let answer = self.answers.try_get_with(id, Self::asked(now, &ask)).await?;
            if answer.asked_at >= since {
                return Ok(answer.value);
            }
            self.answers.invalidate(&id).await;
        }
        Ok(Self::asked(now, &ask).await.map_err(Arc::new)?.value)
    }

    async fn asked<F>(now: Timestamp, ask: &impl Fn() -> F) -> Result<Answer<T>, Error>
    where
        F: Future<Output = Result<Option<T>, Error>>,
    {
        let value = ask().await?;
        Ok(Answer { asked_at: now, value: value.map(Arc::new) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[tokio::test]
    async fn an_answer_serves_those_who_came_before_it_was_asked_for() {
        let (fresh, calls) = (Fresh::new(10, Duration::from_secs(60)), AtomicI64::new(0));
        let ask = || async { Ok(Some(calls.fetch_add(1, Ordering::SeqCst))) };
        assert_eq!(fresh.get(1, at(10), at(10), ask).await.expect("asked").as_deref(), Some(&0));
        assert_eq!(fresh.get(1, at(9), at(11), ask).await.expect("kept").as_deref(), Some(&0));
        assert_eq!(fresh.get(2, at(9), at(11), ask).await.expect("another id").as_deref(), Some(&1));
        // an event that came after the answer had been asked for must not be given it
        assert_eq!(fresh.get(1, at(11), at(12), ask).await.expect("asked again").as_deref(), Some(&2));
        assert_eq!(fresh.get(1, at(11), at(13), ask).await.expect("kept").as_deref(), Some(&2));
    }

    #[tokio::test]
    async fn many_who_wait_cost_one_call() {
        let (fresh, calls) = (Fresh::new(10, Duration::from_secs(60)), AtomicI64::new(0));
        let ask = || async {
            tokio::task::yield_now().await;
            Ok(Some(calls.fetch_add(1, Ordering::SeqCst)))
        };
        let all = futures::future::join_all((0..50).map(|_| fresh.get(1, at(1), at(2), ask))).await;
        assert!(all.into_iter().all(|answer| answer.expect("asked").as_deref() == Some(&0)));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_missing_entity_is_an_answer_too() {
        let fresh = Fresh::<i64>::new(10, Duration::from_secs(60));
        assert_eq!(fresh.get(1, at(1), at(1), || async { Ok(None) }).await.expect("asked"), None);
        assert_eq!(fresh.get(1, at(1), at(1), || async { Ok(Some(1)) }).await.expect("kept"), None);
    }
}
