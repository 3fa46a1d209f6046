//! Durations and sizes as people write them: `"10m"`, `"64KiB"`.

use std::time::Duration;

use serde::Serializer;

const DURATIONS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `"500ms"`, `"5s"`, `"10m"`, `"24h"`, `"30d"`: a whole number and one unit.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATIONS).map(Duration::from_millis)
}

/// Reads `"64KiB"`, `"1MiB"`, `"500B"`: a whole number and one unit.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZES)
}

/// Writes a duration with the largest unit that leaves a whole number; [`parse_duration`] reads it again.
pub(super) fn format_duration(duration: Duration) -> String {
    format(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS)
}

/// Writes a size with the largest unit that leaves a whole number; [`parse_size`] reads it again.
pub(super) fn format_size(size: u64) -> String {
    format(size, &SIZES)
}

pub(super) fn serialize_duration<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format_duration(*duration))
}

// serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(super) fn serialize_size<S: Serializer>(size: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format_size(*size))
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn format(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |factor: u64| value != 0 && value.is_multiple_of(factor);
    let (name, factor) =
        units.iter().copied().find(|(_, factor)| fits(*factor)).unwrap_or(units[units.len() - 1]);
    format!("{}{name}", value / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["500ms", "5s", "10m", "24h", "30d", "90s", "1500ms"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(parse_duration(&format_duration(duration)), Some(duration), "{text}");
        }
        for text in ["64KiB", "1MiB", "500B"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(format_duration(Duration::from_secs(600)), "10m");
    }

    #[test]
    fn refuses_what_is_not_a_number_and_a_unit() {
        for text in ["", "5", "s", "5 weeks", "-5s", "1.5s", "99999999999999999999d", "9999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(parse_size("64kb"), None);
    }
}
