//! Bytes as text.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Invalid, Scalar, Xsd};

/// Bytes that travel as base64 (`xsd:base64Binary`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl std::fmt::Display for Base64 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&STANDARD.encode(&self.0))
    }
}

/// Bytes that travel in hexadecimal (`xsd:hexBinary`).
///
/// ```
/// use soapstone_soap::{Hex, Scalar};
/// let mut key = Hex::default();
/// key.read("0fB8".into())?;
/// assert_eq!((key.0.as_slice(), key.to_string().as_str()), (&[0x0f, 0xb8][..], "0FB8"));
/// # Ok::<(), soapstone_soap::Invalid>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl std::fmt::Display for Hex {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02X}"))
    }
}

impl Scalar for Base64 {
    fn xsd(&self) -> Xsd {
        Xsd::Base64Binary
    }
    fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
        let compact: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        self.0 = STANDARD.decode(compact).map_err(|_| Invalid("base64 value"))?;
        Ok(())
    }
    fn write(&self, out: &mut String) {
        STANDARD.encode_string(&self.0, out);
    }
}

impl Scalar for Hex {
    fn xsd(&self) -> Xsd {
        Xsd::HexBinary
    }
    fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
        let digits = text.chars().filter(|character| !character.is_ascii_whitespace());
        let digits: Option<Vec<u32>> = digits.map(|character| character.to_digit(16)).collect();
        let digits =
            digits.filter(|digits| digits.len().is_multiple_of(2)).ok_or(Invalid("hexadecimal value"))?;
        self.0 = digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
        Ok(())
    }
    fn write(&self, out: &mut String) {
        use std::fmt::Write as _;
        let _ = write!(out, "{self}");
    }
}
