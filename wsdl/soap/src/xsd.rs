//! XML Schema's simple types by name: what `xsi:type` says, and what white space counts for.

use std::borrow::Cow;

/// Each type once: its name here, and its local name in the XML Schema namespace.
macro_rules! types {
    ($($xsd:ident $name:literal)*) => {
        /// The built-in simple types of XML Schema 1.0 (part 2, §3), without the three that are lists of others.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Xsd {
            $($xsd,)*
        }

        /// Every one.
        pub(crate) const ALL: &[Xsd] = &[$(Xsd::$xsd,)*];

        impl Xsd {
            /// What a start tag of this type ends with: its `xsi:type` and the bracket, in one piece.
            pub(crate) fn start_tag_end(self) -> &'static str {
                match self {
                    $(Xsd::$xsd => concat!(" xsi:type=\"xsd:", $name, "\">"),)*
                }
            }
        }
    };
}
types! {
    String "string" NormalizedString "normalizedString" Token "token" Language "language"
    NmToken "NMTOKEN" Name "Name" NcName "NCName" Id "ID" IdRef "IDREF" Entity "ENTITY" QName "QName"
    Notation "NOTATION" AnyUri "anyURI"
    Boolean "boolean" Byte "byte" Short "short" Int "int" Long "long" Integer "integer"
    NonPositiveInteger "nonPositiveInteger" NegativeInteger "negativeInteger"
    NonNegativeInteger "nonNegativeInteger" PositiveInteger "positiveInteger"
    UnsignedByte "unsignedByte" UnsignedShort "unsignedShort" UnsignedInt "unsignedInt"
    UnsignedLong "unsignedLong" Decimal "decimal" Float "float" Double "double"
    Duration "duration" DateTime "dateTime" Date "date" Time "time" GYear "gYear"
    GYearMonth "gYearMonth" GMonth "gMonth" GMonthDay "gMonthDay" GDay "gDay"
    Base64Binary "base64Binary" HexBinary "hexBinary"
}

impl Xsd {
    /// The local name in the XML Schema namespace.
    ///
    /// ```
    /// assert_eq!(soapstone_soap::Xsd::NmToken.name(), "NMTOKEN");
    /// ```
    pub fn name(self) -> &'static str {
        let whole = self.start_tag_end();
        &whole[" xsi:type=\"xsd:".len()..whole.len() - "\">".len()]
    }

    /// The type of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|xsd| xsd.name() == name)
    }

    /// Whether an empty element is a value (the empty string) rather than the absence of one.
    pub fn is_text(self) -> bool {
        use Xsd::*;
        matches!(
            self,
            String
                | NormalizedString
                | Token
                | Language
                | NmToken
                | Name
                | NcName
                | Id
                | IdRef
                | Entity
                | QName
                | Notation
                | AnyUri
                | Base64Binary
                | HexBinary
        )
    }

    /// `text` with its white space as the type has it (part 2, §4.3.6): kept, made spaces of, or collapsed.
    pub(crate) fn spaced(self, text: Cow<'_, str>) -> Cow<'_, str> {
        let is_space = |character: char| matches!(character, ' ' | '\t' | '\n' | '\r');
        match self {
            Xsd::String | Xsd::Base64Binary | Xsd::HexBinary => text,
            Xsd::NormalizedString => match text.contains(['\t', '\n', '\r']) {
                true => Cow::Owned(text.replace(['\t', '\n', '\r'], " ")),
                false => text,
            },
            _ => {
                if is_collapsed(text.as_bytes()) {
                    return text;
                }
                let words = text.split(is_space).filter(|word| !word.is_empty());
                Cow::Owned(words.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

/// Whether there is one space at most in one place, and none at the ends.
fn is_collapsed(text: &[u8]) -> bool {
    let mut after_space = true;
    for byte in text {
        // nearly every byte
        if *byte > b' ' {
            after_space = false;
            continue;
        }
        match byte {
            b' ' if !after_space => after_space = true,
            b' ' | b'\t' | b'\n' | b'\r' => return false,
            _ => after_space = false,
        }
    }
    !after_space || text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_counts_as_the_type_says() {
        for (xsd, expected) in [
            (Xsd::String, " a\t b\n"),
            (Xsd::NormalizedString, " a  b "),
            (Xsd::Token, "a b"),
            (Xsd::NmToken, "a b"),
            (Xsd::AnyUri, "a b"),
        ] {
            assert_eq!(xsd.spaced(Cow::Borrowed(" a\t b\n")), expected, "{xsd:?}");
        }
        assert!(matches!(Xsd::Token.spaced(Cow::Borrowed("a b")), Cow::Borrowed("a b")));
    }
}
