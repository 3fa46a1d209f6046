//! The store on a [`Machine`] on which anything may go wrong at any write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::OpenFlags;

use super::machine::{Chance, Fault, Machine, OnMachine};
use super::vfs;
use super::*;
use crate::delivery::State;
use crate::store::conformance::{Flights, Frail, Trouble, claim_one, delivered, delivery_of};
use crate::store::sqlite::journal::{Disk, ID, first_page};

/// A store on a machine of its own.
pub(super) struct OnDisk {
    at: Arc<At>,
    store: SqliteStore,
    settings: StoreSettings,
    fault: Option<Fault>,
}

/// Where the store lies; the machine is stopped with it.
#[derive(Debug)]
struct At {
    machine: Arc<Machine>,
    folder: String,
}

impl At {
    fn start(machine: Machine) -> Arc<Self> {
        let machine = Arc::new(machine);
        Arc::new(Self { folder: vfs::start(Arc::clone(&machine)), machine })
    }
}

impl Drop for At {
    fn drop(&mut self) {
        vfs::stop(&self.folder);
    }
}

impl Place for Arc<At> {
    fn name(&self) -> String {
        self.folder.clone()
    }

    fn database(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        Connection::open_with_flags_and_vfs(format!("{}/store.db", self.folder), flags, vfs::NAME)
    }

    fn write_log_again(&self) -> std::io::Result<()> {
        let name = "store.db-wal";
        if !self.machine.exists(name)? {
            return Ok(());
        }
        let mut heard = self.machine.failures(name);
        let mut page = [0; 4096];
        let size = self.machine.size(name)?;
        for at in (0..size).step_by(page.len()) {
            let part = &mut page[..(size - at).min(4096)];
            self.machine.read(name, at, part)?;
            self.machine.write(name, at, part)?;
        }
        self.machine.sync(name, &mut heard)
    }

    fn inbox(&self, size: u64, store: [u8; ID]) -> Result<Box<dyn Disk>, StoreError> {
        let mut file = OnMachine { machine: Arc::clone(&self.machine), name: "store.db-inbox", heard: 0 };
        let failed = |error: std::io::Error| StoreError::Failed(error.to_string());
        file.heard = self.machine.failures(file.name);
        if !self.machine.exists(file.name).map_err(failed)? {
            let mut bytes = first_page(store);
            bytes.resize(bytes.len() + usize::try_from(size).expect("small"), 0);
            self.machine.create(file.name).map_err(failed)?;
            file.write_at(0, &bytes).and_then(|()| file.sync()).map_err(failed)?;
        }
        Ok(Box::new(file))
    }
}

/// Everything happens sooner: halves of the inbox turn, it is filed by itself, the log is copied and begins anew.
fn soon() -> StoreSettings {
    StoreSettings {
        inbox_max: 4,
        inbox_bytes: 8 * 1024,
        checkpoint_every: Duration::from_millis(2),
        log_pages_max: 64,
        ..StoreSettings::default()
    }
}

fn open(at: &Arc<At>, settings: StoreSettings, now: Timestamp) -> SqliteStore {
    let lock = tempfile::tempfile().expect("a file");
    SqliteStore::open_at(Arc::new(Arc::clone(at)), lock, settings, now).expect("a store")
}

/// The log is copied when the store is opened and closed only, so nothing comes to the disk by that.
fn never_copied() -> StoreSettings {
    StoreSettings { checkpoint_every: Duration::from_secs(3600), ..soon() }
}

impl OnDisk {
    fn new(settings: StoreSettings) -> Self {
        let at_start = At::start(Machine::default());
        let store = open(&at_start, settings.clone(), at(0));
        Self { at: at_start, store, settings, fault: None }
    }

    /// The power fails just now.
    async fn cut_the_power(&mut self, chance: Chance, now: Timestamp) {
        self.at.machine.arm(Fault::Power, 1000, chance);
        self.fault = Some(Fault::Power);
        self.pass(now).await;
    }
}

/// With settings by turns, since each hides what another shows.
pub(super) async fn frail() -> Option<OnDisk> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let settings = match TURN.fetch_add(1, Ordering::Relaxed) % 4 {
        0 => soon(),
        // the journal writes over what was filed a moment ago
        1 => StoreSettings { inbox_bytes: 3 * 1024, ..never_copied() },
        // nothing is filed that nobody asks for
        2 => StoreSettings { inbox_max: 1000, inbox_bytes: 64 * 1024, ..soon() },
        // all is filed at once, in the smallest parts
        _ => StoreSettings { inbox_max: 1, part_max: 1, ..never_copied() },
    };
    Some(OnDisk::new(settings))
}

#[async_trait]
impl Bench for OnDisk {
    fn store(&self) -> &dyn Control {
        &self.store
    }

    async fn reopen(&mut self, now: Timestamp) {
        self.store.close().await;
        self.store = open(&self.at, self.settings.clone(), now);
    }
}

#[async_trait]
impl Frail for OnDisk {
    const CASES: u32 = 1;
    const TAKES_ITS_TIME: bool = true;

    async fn strike(&mut self, trouble: Trouble) -> &'static str {
        let (fault, name) = match trouble.what % 8 {
            0..=2 => (Fault::Power, "power cut"),
            3 => (Fault::Kill, "gateway killed"),
            4 => (Fault::Full, "disk full"),
            5 => (Fault::Sync, "sync failed"),
            6 => (Fault::SyncThenPower(trouble.what / 8 % 60), "power cut after a failed sync"),
            _ => (Fault::Broken, "write failed"),
        };
        self.at.machine.arm(fault, trouble.after, Chance(trouble.seed));
        self.fault = Some(fault);
        name
    }

    async fn pass(&mut self, now: Timestamp) -> (bool, Flights) {
        let struck = self.at.machine.disarm();
        if self.fault == Some(Fault::Sync) {
            // each connection that writes hears of it once more at most
            for _ in 0..3 {
                let _ = self.store.ready().await;
            }
        }
        let (fault, struck, flights) = match self.fault.take() {
            Some(Fault::Power) => (Fault::Power, true, Flights::PerhapsForgotten),
            Some(Fault::SyncThenPower(_)) => (Fault::Power, struck, Flights::PerhapsForgotten),
            Some(Fault::Kill) => (Fault::Kill, true, Flights::Interrupted),
            _ => return (struck, Flights::GoOn),
        };
        self.at = At::start(self.at.machine.successor(fault));
        self.store = open(&self.at, self.settings.clone(), now);
        (struck, flights)
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[tokio::test]
async fn a_sync_that_fails_takes_nothing_with_it_that_was_done_without_one() {
    let mut disk = OnDisk::new(never_copied());
    for number in 1..=4 {
        disk.store.accept(event(Some(number), 1, at(1)), to("a")).await.expect("accepted");
    }
    // what is queued after it is done with it, or after it
    disk.store.writer.queue().file_soon();
    for _ in 0..2 {
        disk.store.writer.run_lazily(|_| Ok(())).await.expect("nothing to do");
    }
    assert_eq!((disk.store.inbox.len(), disk.store.inbox.durable()), (0, 0), "nobody waited for the disk");
    // nothing of what should have been synced comes to the disk, ever
    let unlucky = |chance: &Chance| Chance(chance.0).below(4) == 0;
    let chance = (0..).map(Chance).find(unlucky).expect("one");
    disk.at.machine.arm(Fault::Sync, 0, chance);
    let pause = Pause { scope: Scope::Handler("b".into()), at: at(1), reason: None };
    assert!(matches!(disk.store.pause(pause).await, Err(StoreError::Failed(_))));
    assert!(disk.at.machine.disarm());

    let claimed = claim_one(&disk, "a", 1).await;
    disk.store.record(delivered(&claimed)).await.expect("recorded");
    disk.cut_the_power(chance, at(2)).await;
    let (delivery, attempts) = delivery_of(&disk, claimed.event.id).await;
    assert_eq!((delivery.state, attempts.len()), (State::Delivered { at: at(2) }, 1));
    assert_eq!(disk.store.events(Page { limit: 9, ..Page::default() }).await.expect("an answer").len(), 4);
}

#[tokio::test]
async fn what_the_journal_writes_over_is_on_the_disk() {
    // nothing comes to the disk that wasn't synced
    let unlucky = |chance: &Chance| Chance(chance.0).below(4) == 0;
    let chance = (0..).map(Chance).find(unlucky).expect("one");
    for accepted in 1..=60 {
        let mut disk = OnDisk::new(never_copied());
        for number in 1..=accepted {
            disk.store.accept(event(Some(number), 1, at(1)), to("a")).await.expect("accepted");
        }
        disk.cut_the_power(chance, at(2)).await;
        let found = disk.store.events(Page { limit: 99, ..Page::default() }).await.expect("an answer");
        let numbers: Vec<_> = found.iter().rev().filter_map(|one| one.event.i_event).collect();
        assert_eq!(numbers, (1..=accepted).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_power_cut_while_a_sync_that_failed_is_made_good_takes_nothing() {
    for after in 0..200 {
        let mut disk = OnDisk::new(never_copied());
        for number in 1..=20 {
            disk.store.accept(event(Some(number), 1, at(1)), to("a")).await.expect("accepted");
        }
        disk.store.backlog().await.expect("filed");
        let claimed = claim_one(&disk, "a", 1).await;
        disk.store.record(delivered(&claimed)).await.expect("recorded");
        disk.fault = Some(Fault::SyncThenPower(after));
        disk.at.machine.arm(Fault::SyncThenPower(after), 0, Chance(after.into()));
        for _ in 0..4 {
            let pause = Pause { scope: Scope::Handler("b".into()), at: at(1), reason: None };
            drop(disk.store.pause(pause).await);
        }
        for number in 21..=40 {
            drop(disk.store.accept(event(Some(number), 1, at(1)), to("a")).await);
        }
        disk.pass(at(2)).await;
        let found = disk.store.events(Page { limit: 99, ..Page::default() }).await.expect("an answer");
        let numbers: Vec<_> = found.iter().rev().filter_map(|one| one.event.i_event).collect();
        assert_eq!(numbers.get(..20), Some(&(1..=20).collect::<Vec<_>>()[..]), "{after}");
        let (delivery, attempts) = delivery_of(&disk, claimed.event.id).await;
        assert_eq!((delivery.state, attempts.len()), (State::Delivered { at: at(2) }, 1), "{after}");
    }
}

#[tokio::test]
async fn what_one_power_cut_took_another_does_not_bring_back() {
    taken_and_not_brought_back(|_| None).await;
}

#[tokio::test]
async fn what_one_power_cut_took_another_does_not_bring_back_while_somebody_reads() {
    taken_and_not_brought_back(|at| {
        let reader = at.database(OpenFlags::SQLITE_OPEN_READ_ONLY).expect("opened");
        reader.execute_batch("BEGIN; SELECT 1 FROM event").expect("a backup, say");
        Some(reader)
    })
    .await;
}

/// `reader`: who keeps the log from being emptied when the store is opened.
async fn taken_and_not_brought_back(reader: impl Fn(&Arc<At>) -> Option<Connection>) {
    let unlucky = |chance: &Chance| Chance(chance.0).below(4) == 0;
    let nothing_unsynced = (0..).map(Chance).find(unlucky).expect("one");
    for seed in 0..150 {
        let mut disk = OnDisk::new(StoreSettings { busy_timeout: Duration::ZERO, ..never_copied() });
        let made = event(Some(1), 1, at(1));
        disk.store.accept(made.clone(), to("a")).await.expect("accepted");
        disk.store.backlog().await.expect("filed, and nobody waits for the disk");
        claim_one(&disk, "a", 1).await;
        disk.at.machine.arm(Fault::Power, 1000, Chance(seed));
        disk.at.machine.disarm();
        disk.at = At::start(disk.at.machine.successor(Fault::Power));
        let reader = reader(&disk.at);
        disk.store = open(&disk.at, disk.settings.clone(), at(2));
        let stood = delivery_of(&disk, made.id).await;
        // what is filed again is written as it was, to where it was, and was followed by a claim
        disk.cut_the_power(nothing_unsynced, at(3)).await;
        drop(reader);
        let stands = delivery_of(&disk, made.id).await;
        assert_eq!(format!("{stands:?}"), format!("{stood:?}"), "{seed}");
    }
}

#[tokio::test]
async fn nobody_is_told_that_a_delivery_is_not_there_that_could_not_be_filed() {
    let disk = OnDisk::new(StoreSettings { inbox_max: 1000, inbox_bytes: 64 * 1024, ..never_copied() });
    disk.store.accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    let id = claim_one(&disk, "a", 1).await.delivery.id;
    disk.at.machine.arm(Fault::Full, 0, Chance(0));
    assert!(disk.store.delivery(id).await.is_err());
    assert!(disk.at.machine.disarm(), "it was full");
    assert!(disk.store.delivery(id).await.expect("an answer").is_some());
}
