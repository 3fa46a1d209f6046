//! Spans of time as XML Schema writes them.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// A span of time (`xsd:duration`), as written: a month has no fixed length, so nothing is added up.
///
/// ```
/// let span: soapstone_soap::Duration = "-P1Y2MT1.50S".parse()?;
/// assert_eq!((span.negative, span.years, span.months, span.seconds, span.nanoseconds), (true, 1, 2, 1, 500_000_000));
/// assert_eq!(span.to_string(), "-P1Y2MT1.5S");
/// # Ok::<(), soapstone_soap::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Duration {
    pub negative: bool,
    pub years: u64,
    pub months: u64,
    pub days: u64,
    pub hours: u64,
    pub minutes: u64,
    pub seconds: u64,
    /// Of a second; what is finer is cut off.
    pub nanoseconds: u32,
}

impl FromStr for Duration {
    type Err = Invalid;

    /// `PnYnMnDTnHnMnS`, at least one of them, with a sign in front; only seconds have a fraction.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        read(text).ok_or(Invalid("duration"))
    }
}

fn read(text: &str) -> Option<Duration> {
    let positive = text.strip_prefix('-');
    let mut span = Duration { negative: positive.is_some(), ..Duration::default() };
    let rest = positive.unwrap_or(text).strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (rest, None),
    };
    let mut pieces = Pieces { rest: date };
    span.years = pieces.take('Y')?;
    span.months = pieces.take('M')?;
    span.days = pieces.take('D')?;
    let whole = pieces.rest.is_empty() && !(date.is_empty() && time.is_none());
    let Some(time) = time else { return whole.then_some(span) };
    let mut pieces = Pieces { rest: time };
    span.hours = pieces.take('H')?;
    span.minutes = pieces.take('M')?;
    (span.seconds, span.nanoseconds) = pieces.seconds()?;
    (whole && pieces.rest.is_empty() && !time.is_empty()).then_some(span)
}

/// What is still to be read of one half of a duration.
struct Pieces<'a> {
    rest: &'a str,
}

impl Pieces<'_> {
    /// The number before `unit`, nought where that isn't next; `None` where what is next is no number.
    fn take(&mut self, unit: char) -> Option<u64> {
        let end = self.rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.rest.len());
        let Some(rest) = self.rest[end..].strip_prefix(unit) else { return Some(0) };
        let number = self.rest[..end].parse().ok()?;
        self.rest = rest;
        Some(number)
    }

    fn seconds(&mut self) -> Option<(u64, u32)> {
        let Some((whole, fraction)) = self.rest.strip_suffix('S').and_then(|rest| rest.split_once('.'))
        else {
            return self.take('S').map(|seconds| (seconds, 0));
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.is_empty() {
            return None;
        }
        let nanoseconds = format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse().ok()?;
        self.rest = "";
        Some((whole.parse().ok()?, nanoseconds))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == (Duration { negative: self.negative, ..Duration::default() }) {
            return formatter.write_str("PT0S");
        }
        formatter.write_str(if self.negative { "-P" } else { "P" })?;
        for (number, unit) in [(self.years, 'Y'), (self.months, 'M'), (self.days, 'D')] {
            if number > 0 {
                write!(formatter, "{number}{unit}")?;
            }
        }
        if (self.hours, self.minutes, self.seconds, self.nanoseconds) == (0, 0, 0, 0) {
            return Ok(());
        }
        formatter.write_str("T")?;
        for (number, unit) in [(self.hours, 'H'), (self.minutes, 'M')] {
            if number > 0 {
                write!(formatter, "{number}{unit}")?;
            }
        }
        match (self.seconds, self.nanoseconds) {
            (0, 0) => Ok(()),
            (seconds, 0) => write!(formatter, "{seconds}S"),
            (seconds, nanoseconds) => {
                write!(formatter, "{seconds}.{}S", format!("{nanoseconds:09}").trim_end_matches('0'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_duration_is_read_and_written_without_noughts() {
        for (text, written) in [
            ("P1Y", "P1Y"),
            ("P0Y", "PT0S"),
            ("-PT0S", "PT0S"),
            ("P1Y2M3DT4H5M6S", "P1Y2M3DT4H5M6S"),
            ("PT90M", "PT90M"),
            ("P14M", "P14M"),
            ("-P60D", "-P60D"),
            ("PT0.10S", "PT0.1S"),
            ("PT1.0000000009S", "PT1S"),
            ("P0DT1S", "PT1S"),
        ] {
            assert_eq!(text.parse::<Duration>().expect(text).to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "-",
            "P1",
            "1Y",
            "P1YT",
            "P1S",
            "PT1D",
            "P-1Y",
            "P1M1Y",
            "PT1.S",
            "PT.5S",
            "PT1.5M",
            "P1.5D",
            "+P1Y",
            "P1Y ",
            "P99999999999999999999Y",
            "PT1S1S",
            "PT1.5S2S",
            "P1é",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
