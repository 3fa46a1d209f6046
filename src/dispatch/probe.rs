//! Which deliveries test whether systems that are left alone are worth asking again.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{Dispatcher, Flights};
use crate::breaker::Breaker;
use crate::store::{StoreError, Want};

impl Dispatcher {
    /// One delivery for each breaker whose time is over, if there is one whose way has nothing else that is to be left alone.
    ///
    /// A delivery tests all of its way whose time is over: if each breaker waited until the others are closed, two that are
    /// open would wait for each other for ever. The handlers take turns: if only the calls of one fail, those of another close
    /// the breaker that they share. Of those that have waited for equally long the ones that test most come first, so that
    /// nobody else keeps half of their way busy; what they don't come to is given up, for the others to test.
    pub(super) async fn probes(
        &self,
        flights: &mut Flights,
        now: Timestamp,
    ) -> Result<Vec<(Vec<String>, Want)>, StoreError> {
        let mut routes: Vec<_> = self.routes.values().collect();
        routes.sort_by_key(|route| {
            let tests = self.gates.to_probe(&route.gates(), now).len();
            (flights.last_probe(&route.handler.name), Reverse(tests))
        });
        let mut probes = Vec::new();
        for route in routes {
            // anew: one before may have taken some
            let probing = self.gates.to_probe(&route.gates(), now);
            let want = route.want(1);
            if probing.is_empty()
                || self.store.next_due(vec![want.clone()]).await?.is_none_or(|due| due > now)
            {
                continue;
            }
            let taken = self.take_probes(probing, now).await?;
            if !taken.is_empty() {
                flights.probes(&route.handler.name);
                probes.push((taken, want));
            }
        }
        Ok(probes)
    }

    /// All of these or none: another gateway may take one first. All gateways begin with the connector's.
    async fn take_probes(&self, probing: Vec<Breaker>, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let mut taken = Vec::new();
        for breaker in probing {
            let name = breaker.name.clone();
            if self.gates.change(self.told(), breaker).await? {
                taken.push(name);
                continue;
            }
            for name in std::mem::take(&mut taken) {
                self.gates.give_up_probe(self.told(), &name, now).await?;
            }
            break;
        }
        Ok(taken)
    }
}
