//! Dates as they are on the wire: XML Schema's forms, and PortaBilling's with a space and without a zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil;
use jiff::tz::Offset;

use crate::Invalid;

/// A day (`xsd:date`): with the zone it came with, or without one.
///
/// ```
/// let day: soapstone_soap::Date = "2024-02-29".parse()?;
/// assert_eq!(day.to_string(), "2024-02-29");
/// # Ok::<(), soapstone_soap::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Date {
    /// As written.
    pub civil: civil::Date,
    /// The zone, where one was written.
    pub offset: Option<Offset>,
}

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
    fn from(civil: civil::Date) -> Self {
        Date { civil, offset: None }
    }
}

impl From<civil::DateTime> for DateTime {
    fn from(civil: civil::DateTime) -> Self {
        DateTime { civil, offset: None }
    }
}

impl FromStr for Date {
    type Err = Invalid;

    /// A day; a time of day behind it is read and dropped with its zone, as servers send `dateTime` for `date`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid("date");
        let (civil, rest) = split_day(text).ok_or(invalid)?;
        let offset = match rest.as_bytes().first() {
            None => None,
            Some(b'T' | b' ') => {
                text.parse::<DateTime>().map_err(|_| invalid)?;
                None
            }
            Some(_) => Some(offset(rest).ok_or(invalid)?),
        };
        Ok(Date { civil, offset })
    }
}

impl FromStr for DateTime {
    type Err = Invalid;

    /// `T` or a space between day and time; a day alone is its midnight, 24:00:00 that of the next.
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
        let (time, next_day, offset) = clock(rest).ok_or(invalid)?;
        let day = if next_day { day.tomorrow().map_err(|_| invalid)? } else { day };
        Ok(DateTime { civil: day.to_datetime(time), offset })
    }
}

/// The day at the front and what follows it.
fn split_day(text: &str) -> Option<(civil::Date, &str)> {
    let (year, rest) = year(text)?;
    let (day, rest) = rest.split_at_checked(6)?;
    let number = |part: &str| -> Option<i8> {
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let (month, day) = (day.strip_prefix('-')?.get(..2)?, day.get(3..)?.strip_prefix('-')?);
    let date = civil::Date::new(i16::try_from(year).ok()?, number(month)?, number(day)?).ok()?;
    Some((date, rest))
}

/// A year of four digits, or more where it doesn't begin with nought; those before our era have a sign.
pub(crate) fn year(text: &str) -> Option<(i32, &str)> {
    let unsigned = text.strip_prefix('-');
    let digits = unsigned.unwrap_or(text);
    let end = digits.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    if end < 4 || (end > 4 && number.starts_with('0')) {
        return None;
    }
    let number: i32 = number.parse().ok()?;
    Some((if unsigned.is_some() { -number } else { number }, rest))
}

/// A time of day, whether it is the midnight at the day's end, and the zone.
pub(crate) fn clock(text: &str) -> Option<(civil::Time, bool, Option<Offset>)> {
    let end = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(end);
    let offset = if zone.is_empty() { None } else { Some(offset(zone)?) };
    let clock = clock.trim();
    // what has no colons is something else that the calendar would take
    if clock.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    if let Some(rest) = clock.strip_prefix("24:00:00") {
        let nothing = rest.is_empty()
            || rest.strip_prefix('.').is_some_and(|rest| rest.bytes().all(|byte| byte == b'0'));
        return nothing.then_some((civil::Time::midnight(), true, offset));
    }
    // what is finer than a nanosecond is cut off
    let clock = match clock.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            &clock[..whole.len() + 1 + fraction.len().min(9)]
        }
        _ => clock,
    };
    Some((clock.parse().ok()?, false, offset))
}

/// `Z`, `+01:00`, `-0500`.
pub(crate) fn offset(text: &str) -> Option<Offset> {
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
    if hours > 14 || minutes > 59 || (hours == 14 && minutes > 0) {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_day(formatter, self.civil)?;
        write_offset(formatter, self.offset)
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_day(formatter, self.civil.date())?;
        formatter.write_str("T")?;
        write_clock(formatter, self.civil.time())?;
        write_offset(formatter, self.offset)
    }
}

fn write_day(formatter: &mut fmt::Formatter<'_>, day: civil::Date) -> fmt::Result {
    write_year(formatter, i64::from(day.year()))?;
    write!(formatter, "-{:02}-{:02}", day.month(), day.day())
}

pub(crate) fn write_year(formatter: &mut fmt::Formatter<'_>, year: i64) -> fmt::Result {
    write!(formatter, "{}{:04}", if year < 0 { "-" } else { "" }, year.abs())
}

pub(crate) fn write_clock(formatter: &mut fmt::Formatter<'_>, time: civil::Time) -> fmt::Result {
    write!(formatter, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
    match time.subsec_nanosecond() {
        0 => Ok(()),
        nanoseconds => {
            let digits = format!("{nanoseconds:09}");
            write!(formatter, ".{}", digits.trim_end_matches('0'))
        }
    }
}

pub(crate) fn write_offset(formatter: &mut fmt::Formatter<'_>, offset: Option<Offset>) -> fmt::Result {
    match offset {
        None => Ok(()),
        Some(offset) if offset.seconds() == 0 => formatter.write_str("Z"),
        Some(offset) => {
            let minutes = offset.seconds() / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            write!(formatter, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
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
            ("2026-11-20Z", "2026-11-20T00:00:00Z"),
            ("2026-12-31T24:00:00", "2027-01-01T00:00:00"),
            ("2026-12-31T24:00:00.000+01:00", "2027-01-01T00:00:00+01:00"),
            ("-0044-03-15T12:00:00", "-0044-03-15T12:00:00"),
            ("2026-11-20T23:59:59+14:00", "2026-11-20T23:59:59+14:00"),
            ("2026-11-20T23:59:59.1234567891Z", "2026-11-20T23:59:59.123456789Z"),
        ] {
            assert_eq!(text.parse::<DateTime>().expect(text).to_string(), written);
        }
        for text in ["2026-11-20", "2026-11-20T23:59:59Z", "2026-11-20 10:00:00"] {
            assert_eq!(text.parse::<Date>().expect(text).to_string(), "2026-11-20");
        }
        for text in ["2026-11-20+01:00", "2026-11-20Z", "2026-11-20-14:00", "-0044-03-15", "2024-02-29"] {
            assert_eq!(text.parse::<Date>().expect(text).to_string(), text);
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
            "2026-11-20T24:00:01",
            "9999-12-31T24:00:00x",
            "2026-11-20T23:59:59+14:01",
            "2026-11-20+15:00",
            "02026-11-20",
            "99999-11-20",
            "2023-02-29",
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
