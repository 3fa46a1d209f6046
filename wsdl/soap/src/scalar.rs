//! XML Schema's simple types: their lexical forms, read generously and written canonically.

use std::borrow::Cow;
use std::fmt::Write as _;

use rust_decimal::Decimal;

use crate::{
    Base64, Date, DateTime, Duration, GDay, GMonth, GMonthDay, GYear, GYearMonth, Hex, Slot, Time, Value,
    View, Xsd,
};

/// A simple value with a lexical form.
pub trait Scalar: Send + Sync {
    /// Which of XML Schema's types it is when nothing else is said.
    fn xsd(&self) -> Xsd;

    /// Takes its value from `text`, as it stands in the element (white space and all).
    ///
    /// # Errors
    /// When `text` is no lexical form of the type; the value is then left as it was.
    fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid>;

    /// Appends its lexical form, not escaped.
    fn write(&self, out: &mut String);

    /// The value as text, where it is one: saves a copy.
    fn as_text(&self) -> Option<&str> {
        None
    }

    /// The values that its definition knows, where it lists them (an enumeration); otherwise none.
    fn values(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether an enumeration has the value.
    fn is_known(&self) -> bool {
        true
    }

    /// How the value is given in JSON.
    fn json(&self) -> JsonScalar<'_> {
        let mut text = String::new();
        self.write(&mut text);
        JsonScalar::Text(Cow::Owned(text))
    }
}

/// A scalar as JSON has it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum JsonScalar<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Unsigned(u64),
    Number(f64),
    Boolean(bool),
}

/// A text that isn't a value of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct Invalid(pub &'static str);

macro_rules! scalar_value {
    ($($type:ty),*) => {$(
        impl Value for $type {
            crate::copied_and_compared!();
            fn view(&self) -> View<'_> {
                View::Scalar(self)
            }
            fn open(&mut self) -> Slot<'_> {
                Slot::Scalar(self)
            }
            fn set_absent(&mut self) {
                *self = <$type>::default();
            }
        }
    )*};
}
scalar_value!(
    String,
    bool,
    i8,
    i16,
    i32,
    i64,
    i128,
    u8,
    u16,
    u32,
    u64,
    u128,
    f32,
    f64,
    Decimal,
    Base64,
    Hex,
    Date,
    DateTime,
    Time,
    Duration,
    GYear,
    GYearMonth,
    GMonth,
    GMonthDay,
    GDay,
    crate::QName,
    crate::Raw
);

impl Scalar for String {
    fn xsd(&self) -> Xsd {
        Xsd::String
    }
    fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
        *self = text.into_owned();
        Ok(())
    }
    fn write(&self, out: &mut String) {
        out.push_str(self);
    }
    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
    fn json(&self) -> JsonScalar<'_> {
        JsonScalar::Text(Cow::Borrowed(self))
    }
}

impl Scalar for bool {
    fn xsd(&self) -> Xsd {
        Xsd::Boolean
    }
    /// `true`, `false`, `1`, `0`; also PortaBilling's `Y` and `N`.
    fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
        *self = match text.trim() {
            "true" | "1" | "Y" | "y" => true,
            "false" | "0" | "N" | "n" => false,
            _ => return Err(Invalid("boolean")),
        };
        Ok(())
    }
    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
    fn json(&self) -> JsonScalar<'_> {
        JsonScalar::Boolean(*self)
    }
}

macro_rules! integer {
    ($($type:ty, $xsd:ident, $name:literal, $json:expr;)*) => {$(
        impl Scalar for $type {
            fn xsd(&self) -> Xsd {
                Xsd::$xsd
            }
            fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
                let text = text.trim();
                *self = text.parse().or_else(|_| whole(text).parse()).map_err(|_| Invalid($name))?;
                Ok(())
            }
            fn write(&self, out: &mut String) {
                out.push_str(itoa::Buffer::new().format(*self));
            }
            fn json(&self) -> JsonScalar<'_> {
                let json: fn($type) -> JsonScalar<'static> = $json;
                json(*self)
            }
        }
    )*};
}
integer! {
    i8, Byte, "byte", |it| JsonScalar::Integer(it.into());
    i16, Short, "short", |it| JsonScalar::Integer(it.into());
    i32, Int, "int", |it| JsonScalar::Integer(it.into());
    i64, Long, "integer of 64 bits", JsonScalar::Integer;
    i128, Integer, "integer of 128 bits", |it| i64::try_from(it).map_or_else(|_| digits(it), JsonScalar::Integer);
    u8, UnsignedByte, "unsigned byte", |it| JsonScalar::Unsigned(it.into());
    u16, UnsignedShort, "unsigned short", |it| JsonScalar::Unsigned(it.into());
    u32, UnsignedInt, "unsigned int", |it| JsonScalar::Unsigned(it.into());
    u64, UnsignedLong, "unsigned integer of 64 bits", JsonScalar::Unsigned;
    u128, NonNegativeInteger, "unsigned integer of 128 bits",
        |it| u64::try_from(it).map_or_else(|_| digits(it), JsonScalar::Unsigned);
}

/// More than most readers of JSON keep in a number: a text.
fn digits(number: impl itoa::Integer) -> JsonScalar<'static> {
    JsonScalar::Text(Cow::Owned(itoa::Buffer::new().format(number).to_owned()))
}

/// `5.0` and `5.` are what a server that keeps its numbers as floats sends for a whole number; `-0` is one of those
/// without a sign, too.
fn whole(text: &str) -> &str {
    let text = match text.strip_prefix('-') {
        Some(noughts) if noughts.starts_with('0') && noughts.bytes().all(|byte| byte == b'0') => noughts,
        _ => text,
    };
    match text.split_once('.') {
        Some((whole, fraction)) if !whole.is_empty() && fraction.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

macro_rules! float {
    ($($type:ty, $xsd:ident, $name:literal;)*) => {$(
        impl Scalar for $type {
            fn xsd(&self) -> Xsd {
                Xsd::$xsd
            }
            fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
                *self = match text.trim() {
                    "INF" | "+INF" => <$type>::INFINITY,
                    "-INF" => <$type>::NEG_INFINITY,
                    "NaN" => <$type>::NAN,
                    text if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
                        text.parse().map_err(|_| Invalid($name))?
                    }
                    _ => return Err(Invalid($name)),
                };
                Ok(())
            }
            fn write(&self, out: &mut String) {
                // up to here every whole number is exact in an i64
                const WHOLE: $type = 1e15;
                match *self {
                    value if value.is_nan() => out.push_str("NaN"),
                    value if value.is_infinite() => out.push_str(if value > 0.0 { "INF" } else { "-INF" }),
                    value if value.abs() < WHOLE && value.trunc() == value => {
                        out.push_str(itoa::Buffer::new().format(value as i64));
                    }
                    value => out.push_str(zmij::Buffer::new().format_finite(value)),
                }
            }
            fn json(&self) -> JsonScalar<'_> {
                JsonScalar::Number(f64::from(*self))
            }
        }
    )*};
}
float! {
    f32, Float, "float";
    f64, Double, "double";
}

impl Scalar for Decimal {
    fn xsd(&self) -> Xsd {
        Xsd::Decimal
    }
    /// Digits are kept as they came: `12.10` stays `12.10`.
    fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
        let text = text.trim();
        *self = Decimal::from_str_exact(text)
            .or_else(|_| Decimal::from_scientific(text))
            .or_else(|_| text.parse())
            .map_err(|_| Invalid("decimal number"))?;
        Ok(())
    }
    fn write(&self, out: &mut String) {
        if self.is_sign_negative() && !self.is_zero() {
            out.push('-');
        }
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(self.mantissa().unsigned_abs());
        let scale = self.scale() as usize;
        let whole = digits.len().saturating_sub(scale);
        out.push_str(if whole == 0 { "0" } else { &digits[..whole] });
        if scale > 0 {
            out.push('.');
            out.extend(std::iter::repeat_n('0', scale.saturating_sub(digits.len())));
            out.push_str(&digits[whole..]);
        }
    }
    fn json(&self) -> JsonScalar<'_> {
        // the shortest form that is this number again: 12.10 becomes 12.1, never 12.0999…
        self.to_string().parse().map_or_else(
            |_| JsonScalar::Text(Cow::Owned(self.to_string())),
            |number: f64| match i64::try_from(*self) {
                Ok(whole) if Decimal::from(whole) == *self => JsonScalar::Integer(whole),
                _ => JsonScalar::Number(number),
            },
        )
    }
}

macro_rules! lexical {
    ($($type:ident)*) => {$(
        impl Scalar for $type {
            fn xsd(&self) -> Xsd {
                Xsd::$type
            }
            fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
                *self = text.trim().parse()?;
                Ok(())
            }
            fn write(&self, out: &mut String) {
                let _ = write!(out, "{self}");
            }
        }
    )*};
}
lexical! { Date Time Duration GYear GYearMonth GMonth GMonthDay GDay }

impl Scalar for DateTime {
    fn xsd(&self) -> Xsd {
        Xsd::DateTime
    }
    fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
        *self = text.trim().parse()?;
        Ok(())
    }
    fn write(&self, out: &mut String) {
        let _ = write!(out, "{self}");
    }
    /// PortaBilling's JSON has a space where XML Schema has a `T`.
    fn json(&self) -> JsonScalar<'_> {
        JsonScalar::Text(Cow::Owned(self.to_string().replacen('T', " ", 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<T: Scalar + Default>(text: &str) -> Result<T, Invalid> {
        let mut value = T::default();
        value.read(Cow::Borrowed(text))?;
        Ok(value)
    }

    fn again<T: Scalar + Default>(text: &str) -> String {
        let mut out = String::new();
        value::<T>(text).expect("valid").write(&mut out);
        out
    }

    #[test]
    fn lexical_forms_are_read_generously_and_written_canonically() {
        assert_eq!(again::<bool>(" 1 "), "true");
        assert_eq!(again::<bool>("N"), "false");
        assert_eq!(again::<i64>("\n+7 "), "7");
        assert_eq!(again::<i64>("5.00"), "5");
        assert_eq!(again::<f64>("1e3"), "1000");
        assert_eq!(again::<f64>("-12.5"), "-12.5");
        assert_eq!(again::<f64>("1e300"), "1e+300");
        assert_eq!(again::<f32>("0.1"), "0.1");
        assert_eq!(again::<f64>("INF"), "INF");
        assert_eq!(again::<f64>("-INF"), "-INF");
        assert_eq!(again::<f64>("NaN"), "NaN");
        assert_eq!(again::<Decimal>("12.10"), "12.10");
        assert_eq!(again::<Decimal>("+12.10"), "12.10");
        assert_eq!(again::<Decimal>("-.5"), "-0.5");
        assert_eq!(again::<Decimal>("-0.0050"), "-0.0050");
        assert_eq!(again::<Decimal>("0.00"), "0.00");
        assert_eq!(again::<Decimal>("-0"), "0");
        assert_eq!(again::<Decimal>("79228162514264337593543950335"), "79228162514264337593543950335");
        assert_eq!(again::<Decimal>("1e3"), "1000");
        assert_eq!(again::<Base64>("aGk\n ="), "aGk=");
        assert_eq!(again::<Base64>(""), "");
        assert_eq!(again::<Hex>(" 0aF0\n"), "0AF0");
        assert_eq!(again::<Hex>(""), "");
    }

    #[test]
    fn every_integer_reaches_to_the_ends_of_its_range_and_no_further() {
        fn ends<T: Scalar + Default>(least: &str, most: &str, below: &str, above: &str) {
            assert_eq!(again::<T>(least), least);
            assert_eq!(again::<T>(most), most);
            for text in [below, above, "", "+", "-", "0x1", "1 2", "1,0", "٣", "1e0"] {
                assert!(value::<T>(text).is_err(), "{text}");
            }
            assert_eq!(again::<T>("-0"), "0");
            assert_eq!(again::<T>("+007"), "7");
        }
        ends::<i8>("-128", "127", "-129", "128");
        ends::<i16>("-32768", "32767", "-32769", "32768");
        ends::<i32>("-2147483648", "2147483647", "-2147483649", "2147483648");
        ends::<i64>(
            "-9223372036854775808",
            "9223372036854775807",
            "-9223372036854775809",
            "9223372036854775808",
        );
        let (least, most) = (i128::MIN.to_string(), i128::MAX.to_string());
        ends::<i128>(&least, &most, &format!("{least}0"), &format!("{most}0"));
        ends::<u128>("0", &u128::MAX.to_string(), "-1", "340282366920938463463374607431768211456");
        ends::<u8>("0", "255", "-1", "256");
        ends::<u16>("0", "65535", "-1", "65536");
        ends::<u32>("0", "4294967295", "-1", "4294967296");
        ends::<u64>("0", "18446744073709551615", "-1", "18446744073709551616");
    }

    #[test]
    fn floats_have_three_values_that_are_no_numbers_and_no_other_words() {
        for text in ["INF", "-INF", "NaN", "0", "-12.5", "1e+300"] {
            assert_eq!(again::<f64>(text), text);
        }
        assert_eq!(again::<f64>("-0"), "0");
        assert_eq!(again::<f64>(".5"), "0.5");
        assert_eq!(again::<f64>("5."), "5");
        assert_eq!(again::<f32>("3.4028235E38"), "3.4028235e+38");
        for text in ["inf", "Infinity", "nan", "NAN", "", ".", "e5", "1e", "1d", "0x1p3", "--1"] {
            assert!(value::<f64>(text).is_err(), "{text}");
            assert!(value::<f32>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_an_error() {
        assert!(value::<bool>("yes").is_err());
        assert!(value::<i64>("").is_err());
        assert!(value::<i64>("1.5").is_err());
        assert!(value::<i32>("3000000000").is_err());
        assert!(value::<f64>("infinity").is_err());
        assert!(value::<Decimal>("NaN").is_err());
        assert!(value::<Base64>("%%%").is_err());
        assert!(value::<Hex>("0").is_err());
        assert!(value::<Hex>("0g").is_err());
    }

    #[test]
    fn json_keeps_whole_numbers_whole() {
        assert_eq!(value::<Decimal>("12.10").expect("valid").json(), JsonScalar::Number(12.1));
        assert_eq!(value::<Decimal>("7.00").expect("valid").json(), JsonScalar::Integer(7));
        assert_eq!(value::<i128>("-7").expect("valid").json(), JsonScalar::Integer(-7));
        assert_eq!(
            value::<u128>("18446744073709551615").expect("valid").json(),
            JsonScalar::Unsigned(u64::MAX)
        );
        for text in ["18446744073709551616", "-9223372036854775809"] {
            assert_eq!(value::<i128>(text).expect("valid").json(), JsonScalar::Text(Cow::Borrowed(text)));
        }
    }
}
