//! XML Schema's own types, as the runtime has them.

use super::Type;
use crate::namespace::{SOAP_ENCODING, SOAP_ENCODING_12, XSD};
use crate::xml::QName;

/// Each type once: its name here, and its local name in XML Schema's namespace.
macro_rules! types {
    ($($simple:ident $name:literal)*) => {
        /// The simple types that the runtime knows; named as there. Its own list isn't used, so that a build script has
        /// the generator without the runtime.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Simple {
            $($simple,)*
        }

        const NAMES: &[(&str, Simple)] = &[$(($name, Simple::$simple),)*];
    };
}
types! {
    String "string" NormalizedString "normalizedString" Token "token" Language "language"
    NmToken "NMTOKEN" Name "Name" NcName "NCName" Id "ID" IdRef "IDREF" Entity "ENTITY" QName "QName"
    Notation "NOTATION" AnyUri "anyURI" Boolean "boolean" Byte "byte" Short "short" Int "int" Long "long"
    Integer "integer" NonPositiveInteger "nonPositiveInteger" NegativeInteger "negativeInteger"
    NonNegativeInteger "nonNegativeInteger" PositiveInteger "positiveInteger" UnsignedByte "unsignedByte"
    UnsignedShort "unsignedShort" UnsignedInt "unsignedInt" UnsignedLong "unsignedLong" Decimal "decimal"
    Float "float" Double "double" Duration "duration" DateTime "dateTime" Date "date" Time "time"
    GYear "gYear" GYearMonth "gYearMonth" GMonth "gMonth" GMonthDay "gMonthDay" GDay "gDay"
    Base64Binary "base64Binary" HexBinary "hexBinary"
}

impl Simple {
    /// Its local name in XML Schema's namespace.
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, simple)| *simple == self).map_or("string", |(name, _)| name)
    }

    /// Whether it is a string in Rust.
    pub(crate) fn is_text(self) -> bool {
        use Simple::*;
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
        )
    }
}

/// What `name` stands for when it is XML Schema's or SOAP encoding's (SOAP 1.1 §5.2.1: the same types again).
///
/// The outer `None`: not one of their namespaces. The inner: there, but no type of that name.
pub(super) fn look_up(name: &QName) -> Option<Option<Type>> {
    let soap = match &*name.namespace {
        XSD => false,
        SOAP_ENCODING | SOAP_ENCODING_12 => true,
        _ => return None,
    };
    let list_of = |item| Some(Type::List(Box::new(Type::Simple(item))));
    Some(match &*name.local {
        "anyType" | "anySimpleType" | "ur-type" => Some(Type::Any),
        // what the drafts of 1999 and 2000 called them
        "timeInstant" => Some(Type::Simple(Simple::DateTime)),
        "timeDuration" => Some(Type::Simple(Simple::Duration)),
        "uriReference" | "uri-reference" => Some(Type::Simple(Simple::AnyUri)),
        "CDATA" => Some(Type::Simple(Simple::NormalizedString)),
        "NMTOKENS" => list_of(Simple::NmToken),
        "IDREFS" => list_of(Simple::IdRef),
        "ENTITIES" => list_of(Simple::Entity),
        "Array" if soap => Some(Type::Array(Box::new(Type::Any))),
        "Struct" if soap => Some(Type::Any),
        "base64" if soap => Some(Type::Simple(Simple::Base64Binary)),
        local => simple(local).map(Type::Simple),
    })
}

fn simple(local: &str) -> Option<Simple> {
    NAMES.iter().find(|(name, _)| *name == local).map(|(_, simple)| *simple)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// XML Schema 1.0, part 2, §3.2 and §3.3, and the two that everything is derived from.
    const ALL: &str = "anyType anySimpleType string boolean decimal float double duration dateTime time date \
                       gYearMonth gYear gMonthDay gDay gMonth hexBinary base64Binary anyURI QName NOTATION \
                       normalizedString token language NMTOKEN NMTOKENS Name NCName ID IDREF IDREFS ENTITY \
                       ENTITIES integer nonPositiveInteger negativeInteger long int short byte \
                       nonNegativeInteger unsignedLong unsignedInt unsignedShort unsignedByte positiveInteger";

    #[test]
    fn every_built_in_type_of_xml_schema_is_known_and_no_other() {
        let known = |local: &str| look_up(&QName { namespace: XSD.into(), local: local.into() });
        assert_eq!(ALL.split_whitespace().count(), 46);
        for local in ALL.split_whitespace() {
            assert!(known(local).flatten().is_some(), "{local}");
        }
        for local in ["strung", "String", "", "Array", "base64", "dateTimeStamp"] {
            assert!(matches!(known(local), Some(None)), "{local}");
        }
        assert!(look_up(&QName { namespace: "urn:example".into(), local: "string".into() }).is_none());
    }
}
