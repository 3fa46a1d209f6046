//! What nobody meant to send: definitions and messages with bytes changed and pieces moved. Nothing may panic, hang or
//! take memory without end.
//!
//! Every run says its seed. A short run is part of the tests; for a long one
//!
//! ```sh
//! SOAPSTONE_FUZZ_SECONDS=600 cargo test -p soapstone-codegen --test it fuzz -- --nocapture --test-threads=1
//! ```
//!
//! with `SOAPSTONE_FUZZ_SEED` to go another way, or the same again. What breaks is kept under `target/tmp`.

mod codec;
pub(crate) mod finds;
mod generator;
mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Numbers that look random and are the same every time (xorshift).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn one_of<'t, T: ?Sized>(&mut self, list: &[&'t T]) -> &'t T {
        list[self.below(list.len())]
    }
}

/// How long to go on, from where, and what it has come to.
struct Run {
    name: &'static str,
    numbers: Numbers,
    rounds: usize,
    most_rounds: usize,
    until: Option<Instant>,
    slowest: Duration,
    /// Rounds whose input was taken in spite of everything.
    taken: usize,
}

impl Run {
    /// `short` rounds unless the environment asks for seconds.
    fn new(name: &'static str, short: usize) -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let seed = number("SOAPSTONE_FUZZ_SEED").unwrap_or(0x50AB).max(1);
        let until = number("SOAPSTONE_FUZZ_SECONDS").map(|it| Instant::now() + Duration::from_secs(it));
        eprintln!("{name}: seed {seed}");
        let most_rounds = if until.is_some() { usize::MAX } else { short };
        Self {
            name,
            numbers: Numbers(seed),
            rounds: 0,
            most_rounds,
            until,
            slowest: Duration::ZERO,
            taken: 0,
        }
    }

    fn goes_on(&mut self) -> bool {
        self.rounds += 1;
        self.rounds <= self.most_rounds && self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Runs `what` on `input` and counts whether it was taken; it is kept where it panics or takes longer than `limit`.
    fn round(&mut self, input: &[u8], limit: Duration, what: impl FnOnce() -> bool) {
        let start = processor_time();
        let outcome = catch_unwind(AssertUnwindSafe(what));
        let taken = processor_time().saturating_sub(start);
        self.slowest = self.slowest.max(taken);
        self.taken += usize::from(*outcome.as_ref().unwrap_or(&false));
        if outcome.is_err() || taken > limit {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.find", self.name));
            std::fs::write(&kept, input).expect("kept");
            panic!("{}, round {}, {taken:?}: {}", self.name, self.rounds, kept.display());
        }
    }

    fn report(&self) {
        let memory = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim();
        eprintln!(
            "{}: {} rounds, {} taken, slowest {:?}, peak memory of the process {peak}",
            self.name,
            self.rounds - 1,
            self.taken,
            self.slowest
        );
        assert!(self.taken > 0, "no input was good enough to come anywhere");
    }
}

/// What this thread has had of the processor: others may have it for a minute, which is no fault of ours.
fn processor_time() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split_whitespace().next()?.parse().ok());
    spent.map_or_else(|| Duration::from_millis(0), Duration::from_nanos)
}

/// The files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
