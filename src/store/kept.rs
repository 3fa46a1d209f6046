//! What is kept beside events and deliveries, as an operator sees it: statuses with how far their write-back is, and samples of
//! what couldn't be read.

use jiff::Timestamp;

use super::{Sample, Status};

/// Which statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    /// Those of this account, one for each service group.
    OfAccount(i64),
    /// Those that couldn't be written back, and aren't tried any more.
    GivenUp,
}

/// Whose status: the account's number, and the service group.
pub type StatusId = (i64, String);

/// A status, and how far its write-back is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStatus {
    /// What PortaBilling has, or is to have.
    pub status: Status,
    /// How far that is.
    pub stand: StatusStand,
    /// How often it has been tried.
    pub attempts: u32,
    /// Why the last try failed.
    pub reason: Option<String>,
    /// When a status of this account and group was written last, this one or one before.
    pub written_at: Option<Timestamp>,
}

/// How far a write-back is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusStand {
    /// It is to be written, not before then.
    Due {
        /// When.
        at: Timestamp,
    },
    /// It is being written.
    Writing,
    /// PortaBilling has it.
    Written,
    /// It isn't tried any more.
    GivenUp,
}

impl StatusStand {
    /// The word for it in the operator's API: `due`, `writing`, `written`, `given_up`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Due { .. } => "due",
            Self::Writing => "writing",
            Self::Written => "written",
            Self::GivenUp => "given_up",
        }
    }

    /// What the columns of both stores say.
    pub(super) const fn of(due: Option<Timestamp>, writing: bool, failed: bool) -> Self {
        match due {
            _ if writing => Self::Writing,
            Some(at) => Self::Due { at },
            None if failed => Self::GivenUp,
            None => Self::Written,
        }
    }
}

/// A sample with its number: later ones have higher ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSample {
    /// Its number.
    pub number: i64,
    /// What was posted.
    pub sample: Sample,
}
