//! A time of day, and what XML Schema has for days and months that come again every year.

use std::fmt;
use std::str::FromStr;

use jiff::civil;
use jiff::tz::Offset;

use crate::Invalid;
use crate::date::{clock, offset, write_clock, write_offset, write_year};

/// A time of day (`xsd:time`), with the zone it came with, if any.
///
/// ```
/// let time: soapstone_soap::Time = "08:30:00.250+01:00".parse()?;
/// assert_eq!(time.to_string(), "08:30:00.25+01:00");
/// # Ok::<(), soapstone_soap::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Time {
    /// As written; 24:00:00 is midnight.
    pub civil: civil::Time,
    /// The zone, where one was written.
    pub offset: Option<Offset>,
}

impl FromStr for Time {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (civil, _, offset) = clock(text).ok_or(Invalid("time of day"))?;
        Ok(Time { civil, offset })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_clock(formatter, self.civil)?;
        write_offset(formatter, self.offset)
    }
}

/// Declares what is written as some of year, month and day, each behind a text, and a zone.
macro_rules! parts {
    ($($(#[$attribute:meta])* $name:ident $what:literal { $($before:literal $field:ident: $type:ty = $first:literal,)* })*) => {$(
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub struct $name {
            $(pub $field: $type,)*
            /// The zone, where one was written.
            pub offset: Option<Offset>,
        }
        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $first,)* offset: None }
            }
        }
        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let read = || -> Option<Self> {
                    let mut rest = text;
                    $(
                        rest = rest.strip_prefix($before)?;
                        let $field;
                        ($field, rest) = part::$field(rest)?;
                    )*
                    let offset = if rest.is_empty() { None } else { Some(offset(rest)?) };
                    Some(Self { $($field,)* offset })
                };
                read().filter(Self::exists).ok_or(Invalid($what))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(
                    formatter.write_str($before)?;
                    write_part(formatter, stringify!($field), i64::from(self.$field))?;
                )*
                write_offset(formatter, self.offset)
            }
        }
    )*};
}

parts! {
    /// A year (`xsd:gYear`).
    ///
    /// ```
    /// let year: soapstone_soap::GYear = "-0044".parse()?;
    /// assert_eq!((year.year, year.to_string().as_str()), (-44, "-0044"));
    /// # Ok::<(), soapstone_soap::Invalid>(())
    /// ```
    GYear "year" { "" year: i32 = 0, }
    /// A month of a year (`xsd:gYearMonth`): `2026-11`.
    GYearMonth "month of a year" { "" year: i32 = 0, "-" month: u8 = 1, }
    /// A month (`xsd:gMonth`): `--11`.
    GMonth "month" { "--" month: u8 = 1, }
    /// A day of a month (`xsd:gMonthDay`): `--12-25`.
    GMonthDay "day of a month" { "--" month: u8 = 1, "-" day: u8 = 1, }
    /// A day of any month (`xsd:gDay`): `---31`.
    GDay "day" { "---" day: u8 = 1, }
}

impl GYear {
    fn exists(&self) -> bool {
        true
    }
}

impl GYearMonth {
    fn exists(&self) -> bool {
        true
    }
}

impl GMonth {
    fn exists(&self) -> bool {
        true
    }
}

impl GMonthDay {
    /// In a leap year.
    fn exists(&self) -> bool {
        civil::Date::new(2000, self.month as i8, self.day as i8).is_ok()
    }
}

impl GDay {
    fn exists(&self) -> bool {
        true
    }
}

/// What stands at the front of a text, and what follows it.
mod part {
    pub(super) use crate::date::year;

    pub(super) fn month(text: &str) -> Option<(u8, &str)> {
        two_digits(text, 12)
    }

    pub(super) fn day(text: &str) -> Option<(u8, &str)> {
        two_digits(text, 31)
    }

    fn two_digits(text: &str, most: u8) -> Option<(u8, &str)> {
        let digits = text.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        let number = digits.parse().ok().filter(|number| (1..=most).contains(number))?;
        Some((number, &text[2..]))
    }
}

fn write_part(formatter: &mut fmt::Formatter<'_>, part: &str, number: i64) -> fmt::Result {
    match part {
        "year" => write_year(formatter, number),
        _ => write!(formatter, "{number:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again<T: FromStr<Err = Invalid> + fmt::Display>(texts: &[(&str, &str)]) {
        for (text, written) in texts {
            let value = text.parse::<T>().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(value.to_string(), *written, "{text}");
        }
    }

    fn refused<T: FromStr<Err = Invalid>>(texts: &[&str]) {
        for text in texts {
            assert!(text.parse::<T>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_of_day_has_a_fraction_and_a_zone_and_midnight_has_two_forms() {
        again::<Time>(&[
            ("00:00:00", "00:00:00"),
            ("24:00:00", "00:00:00"),
            ("24:00:00.0Z", "00:00:00Z"),
            ("23:59:59.999-14:00", "23:59:59.999-14:00"),
            ("08:30:00+00:00", "08:30:00Z"),
        ]);
        refused::<Time>(&[
            "",
            "24:00:01",
            "25:00:00",
            "08:60:00",
            "08",
            "08:30:00+15:00",
            "8:30:00",
            "T08:30:00",
        ]);
    }

    #[test]
    fn years_months_and_days_that_come_again_are_read_and_written() {
        again::<GYear>(&[
            ("2026", "2026"),
            ("-0044", "-0044"),
            ("12026", "12026"),
            ("2026Z", "2026Z"),
            ("2026-05:00", "2026-05:00"),
        ]);
        refused::<GYear>(&["", "26", "02026", "+2026", "2026-11", "-", "2026é"]);
        again::<GYearMonth>(&[
            ("2026-11", "2026-11"),
            ("2026-11+01:00", "2026-11+01:00"),
            ("-0001-01", "-0001-01"),
        ]);
        refused::<GYearMonth>(&["2026-13", "2026-00", "2026", "2026-1", "2026-11-20"]);
        again::<GMonth>(&[("--11", "--11"), ("--11Z", "--11Z"), ("--11-05:00", "--11-05:00")]);
        refused::<GMonth>(&["11", "--13", "--1", "--"]);
        again::<GMonthDay>(&[
            ("--12-25", "--12-25"),
            ("--02-29", "--02-29"),
            ("--12-25-05:00", "--12-25-05:00"),
        ]);
        refused::<GMonthDay>(&["--02-30", "--04-31", "--12", "12-25"]);
        again::<GDay>(&[("---31", "---31"), ("---01Z", "---01Z")]);
        refused::<GDay>(&["---32", "---00", "--31", "---1"]);
    }
}
