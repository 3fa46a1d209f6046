//! Looks into the shared database all the time: whatever happens to gateways, each subject is in one hand at most.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

/// Subjects in two hands, deliveries in flight that don't hold their lane, and those of gateways that have been taken over.
const WRONG: &str = "\
    SELECT
        (SELECT count(*) FROM (SELECT 1 FROM delivery WHERE state = 'in_flight' GROUP BY lane HAVING count(*) > 1) two),
        (SELECT count(*) FROM delivery d LEFT JOIN lane l ON l.id = d.lane
            WHERE d.state = 'in_flight' AND l.held IS DISTINCT FROM d.seq),
        (SELECT count(*) FROM delivery d
            WHERE d.state = 'in_flight' AND NOT EXISTS (SELECT 1 FROM gateway g WHERE g.id = d.gateway)),
        (SELECT count(*) FROM delivery WHERE state = 'in_flight')";

/// Between two looks.
const EVERY: Duration = Duration::from_millis(10);

pub(super) struct Leases {
    looking: JoinHandle<(u64, i64)>,
    stop: CancellationToken,
}

impl Leases {
    pub(super) async fn watch(url: &str, schema: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("SET search_path = {schema}")).await.unwrap();
        let stop = CancellationToken::new();
        let looking = tokio::spawn(look(client, stop.clone()));
        Self { looking, stop }
    }

    /// Answers how often it was looked, and how many were in flight then, all together.
    pub(super) async fn end(self) -> (u64, i64) {
        self.stop.cancel();
        self.looking.await.unwrap()
    }
}

async fn look(client: Client, stop: CancellationToken) -> (u64, i64) {
    let (mut looks, mut flying) = (0, 0);
    while !stop.is_cancelled() {
        // one statement sees one state of things
        let row = client.query_one(WRONG, &[]).await.unwrap();
        let wrong: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
        assert_eq!(
            wrong,
            [0, 0, 0],
            "subjects in two hands, in no lane's, in those of a gateway that is gone"
        );
        looks += 1;
        flying += row.get::<_, i64>(3);
        tokio::time::sleep(EVERY).await;
    }
    (looks, flying)
}
