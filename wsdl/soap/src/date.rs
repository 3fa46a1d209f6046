//! Dates as they are on the wire: XML Schema's forms, and PortaBilling's with a space and without a zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil;
use jiff::tz::Offset;

use crate::Invalid;

/// A day (`xsd:date`), without a zone.
///
/// ```
/// let day: soapstone_soap::Date = "2024-02-29".parse()?;
/// assert_eq!(day.to_string(), "2024-02-29");
/// # Ok::<(), soapstone_soap::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub civil::Date);

/// A moment (`xsd:dateTime`): with the zone it came with, or without one, which in PortaBilling means UTC.
///
/// ```
/// let time: soapstone_soap::DateTime = "2026-11-20 23:59:59".parse()?;
/// assert_eq!(time.to_string(), "2026-11-20T23:59:59");
/// # Ok::<(), soapstone_soap::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Day and time of day, as written.
    pub civil: civil::DateTime,
    /// The zone, where one was written.
    pub offset: Option<Offset>,
}

impl DateTime {
    /// The instant, taking a missing zone for UTC.
    ///
    /// `None` for the few values at the very ends of the calendar that no instant stands for.
    pub fn timestamp(&self) -> Option<jiff::Timestamp> {
        self.offset.unwrap_or(Offset::UTC).to_timestamp(self.civil).ok()
    }
}

impl From<civil::Date> for Date {
    fn from(date: civil::Date) -> Self {
        Date(date)
    }
}

impl From<civil::DateTime> for DateTime {
    fn from(civil: civil::DateTime) -> Self {
        DateTime { civil, offset: None }
    }
}

impl FromStr for Date {
    type Err = Invalid;

    /// A day; a time of day or a zone behind it is read and dropped, as servers send `dateTime` for `date`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (day, rest) = split_day(text).ok_or(Invalid("date"))?;
        match rest.as_bytes().first() {
            None => {}
            Some(b'T' | b' ') => drop(text.parse::<DateTime>().map_err(|_| Invalid("date"))?),
            Some(_) => drop(offset(rest).ok_or(Invalid("date"))?),
        }
        Ok(Date(day))
    }
}

impl FromStr for DateTime {
    type Err = Invalid;

    /// `T` or a space between day and time; a day alone is its midnight.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid("date and time");
        let (day, rest) = split_day(text).ok_or(invalid)?;
        let Some(rest) = rest.strip_prefix(['T', ' ']) else {
            return match rest {
                "" => Ok(day.at(0, 0, 0, 0).into()),
                zone => {
                    Ok(DateTime { civil: day.at(0, 0, 0, 0), offset: Some(offset(zone).ok_or(invalid)?) })
                }
            };
        };
        let end = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(end);
        let time: civil::Time = clock.trim().parse().map_err(|_| invalid)?;
        let offset = if zone.is_empty() { None } else { Some(offset(zone).ok_or(invalid)?) };
        Ok(DateTime { civil: day.to_datetime(time), offset })
    }
}

/// The day at the front and what follows it.
fn split_day(text: &str) -> Option<(civil::Date, &str)> {
    let day = text.get(..10)?;
    let numbers = |range: std::ops::Range<usize>| -> Option<i16> {
        let part = day.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let bytes = day.as_bytes();
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let date = civil::Date::new(numbers(0..4)?, numbers(5..7)? as i8, numbers(8..10)? as i8).ok()?;
    Some((date, &text[10..]))
}

/// `Z`, `+01:00`, `-0500`.
fn offset(text: &str) -> Option<Offset> {
    if text == "Z" {
        return Some(Offset::UTC);
    }
    let (sign, digits) =
        text.strip_prefix('+').map(|rest| (1, rest)).or(text.strip_prefix('-').map(|rest| (-1, rest)))?;
    let digits: String = digits.chars().filter(|character| *character != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.civil.time();
        write!(
            formatter,
            "{}T{:02}:{:02}:{:02}",
            Date(self.civil.date()),
            time.hour(),
            time.minute(),
            time.second()
        )?;
        match time.subsec_nanosecond() {
            0 => {}
            nanos => {
                let digits = format!("{nanos:09}");
                write!(formatter, ".{}", digits.trim_end_matches('0'))?;
            }
        }
        match self.offset {
            None => Ok(()),
            Some(offset) if offset.seconds() == 0 => formatter.write_str("Z"),
            Some(offset) => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(formatter, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_the_forms_that_servers_send_are_read() {
        for (text, written) in [
            ("2026-11-20T23:59:59Z", "2026-11-20T23:59:59Z"),
            ("2026-11-20 23:59:59", "2026-11-20T23:59:59"),
            ("2026-11-20T23:59:59.250+01:00", "2026-11-20T23:59:59.25+01:00"),
            ("2026-11-20T23:59:59-0530", "2026-11-20T23:59:59-05:30"),
            ("2026-11-20", "2026-11-20T00:00:00"),
        ] {
            assert_eq!(text.parse::<DateTime>().expect(text).to_string(), written);
        }
        for text in ["2026-11-20", "2026-11-20T23:59:59Z", "2026-11-20 10:00:00", "2026-11-20+01:00"] {
            assert_eq!(text.parse::<Date>().expect(text).to_string(), "2026-11-20");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026-02-30",
            "0000-00-00",
            "2026-1-1",
            "20261120",
            "2026-11-20T25:00:00",
            "2026-11-20x",
            "é026-11-20",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
            assert!(text.parse::<DateTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_missing_zone_means_utc() {
        let with: DateTime = "2026-11-21T00:59:59+01:00".parse().expect("valid");
        let without: DateTime = "2026-11-20 23:59:59".parse().expect("valid");
        assert_eq!(with.timestamp(), without.timestamp());
    }
}
