//! What may happen to a store, in whatever order.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::Trouble;
use crate::delivery::{Failure, Outcome};

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// About an account, for handlers by their bits; it happened so many seconds ago.
    Accept {
        account: u32,
        handlers: usize,
        ago: i64,
    },
    AcceptAgain {
        which: Index,
    },
    /// So many events, one right after another.
    Burst {
        account: u32,
        handlers: usize,
        many: usize,
    },
    Claim {
        handler: usize,
        limit: usize,
    },
    End {
        which: Index,
        outcome: Outcome,
    },
    /// An outcome that was recorded before is recorded once more.
    EndAgain {
        which: Index,
    },
    Release {
        which: Index,
        seconds: i64,
    },
    CallBack {
        which: Index,
        outcome: Outcome,
    },
    Overdue,
    Replay {
        which: Vec<Index>,
        gap: u64,
    },
    Cancel {
        which: Vec<Index>,
    },
    Subscribe {
        which: Vec<Index>,
        handler: usize,
    },
    Pause {
        what: usize,
    },
    Resume {
        what: usize,
    },
    Wait {
        seconds: i64,
    },
    Crash,
    /// Something goes wrong meanwhile, or right after it.
    Trouble {
        trouble: Trouble,
        step: Box<Step>,
    },
}

impl Step {
    /// It brings events, and does nothing else.
    pub(super) fn arrives(&self) -> bool {
        matches!(self, Self::Accept { .. } | Self::Burst { .. })
    }

    /// It names deliveries that nobody need have been told of.
    pub(super) fn names(&self) -> bool {
        matches!(self, Self::Replay { .. } | Self::Cancel { .. } | Self::Subscribe { .. })
    }
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let busy = || Outcome::Retry { class: Failure::Busy, reason: "busy".into(), after: None };
    let ended = move || {
        prop_oneof![
            3 => Just(Outcome::Delivered),
            2 => Just(busy()),
            1 => Just(Outcome::Refused { reason: "no".into() }),
        ]
    };
    let outcome = prop_oneof![
        5 => ended(),
        1 => Just(Outcome::Accepted { within: Duration::from_secs(30) }),
    ];
    let which = any::<Index>;
    let some = || prop::collection::vec(any::<Index>(), 1..4);
    let one = prop_oneof![
        7 => (0..3_u32, 0..8_usize, prop_oneof![2 => Just(0), 1 => 0..100_i64])
            .prop_map(|(account, handlers, ago)| Step::Accept { account, handlers, ago }),
        1 => which().prop_map(|which| Step::AcceptAgain { which }),
        8 => (0..3_usize, 0..4_usize).prop_map(|(handler, limit)| Step::Claim { handler, limit }),
        10 => (which(), outcome).prop_map(|(which, outcome)| Step::End { which, outcome }),
        1 => which().prop_map(|which| Step::EndAgain { which }),
        1 => (which(), 0..60_i64).prop_map(|(which, seconds)| Step::Release { which, seconds }),
        3 => (which(), ended()).prop_map(|(which, outcome)| Step::CallBack { which, outcome }),
        2 => (some(), 0..20_u64).prop_map(|(which, gap)| Step::Replay { which, gap }),
        1 => some().prop_map(|which| Step::Cancel { which }),
        1 => (some(), 0..3_usize).prop_map(|(which, handler)| Step::Subscribe { which, handler }),
        1 => (0..8_usize).prop_map(|what| Step::Pause { what }),
        2 => (0..8_usize).prop_map(|what| Step::Resume { what }),
        3 => (1..200_i64).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Crash),
    ]
    .boxed();
    let trouble = (any::<u32>(), prop_oneof![3 => 0..4_u32, 2 => 0..60_u32], any::<u64>())
        .prop_map(|(what, after, seed)| Trouble { what, after, seed });
    let step = prop_oneof![
        40 => one.clone(),
        1 => Just(Step::Overdue),
        2 => (0..3_u32, 1..8_usize, 4..8_usize)
            .prop_map(|(account, handlers, many)| Step::Burst { account, handlers, many }),
        3 => (trouble, one).prop_map(|(trouble, step)| Step::Trouble { trouble, step: Box::new(step) }),
    ];
    prop::collection::vec(step, 1..60)
}
