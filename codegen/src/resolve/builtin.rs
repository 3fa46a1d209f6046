//! XML Schema's own types, as the runtime has them.

use super::Type;
use crate::namespace::{SOAP_ENCODING, SOAP_ENCODING_12, XSD};
use crate::xml::QName;

/// The simple types that the runtime knows; named as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Simple {
    String,
    Boolean,
    Byte,
    Short,
    Int,
    Long,
    Integer,
    UnsignedInt,
    UnsignedLong,
    Decimal,
    Float,
    Double,
    Date,
    DateTime,
    Time,
    AnyUri,
    Base64Binary,
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
    Some(match &*name.local {
        "anyType" | "anySimpleType" | "ur-type" => Some(Type::Any),
        "Array" if soap => Some(Type::Array(Box::new(Type::Any))),
        "Struct" if soap => Some(Type::Any),
        "base64" if soap => Some(Type::Simple(Simple::Base64Binary)),
        local => simple(local).map(Type::Simple),
    })
}

/// Types that are narrower than one the runtime has are read and written as that one.
fn simple(local: &str) -> Option<Simple> {
    Some(match local {
        "string" | "normalizedString" | "token" | "language" | "Name" | "NCName" | "NMTOKEN" | "NMTOKENS"
        | "ID" | "IDREF" | "IDREFS" | "ENTITY" | "ENTITIES" | "NOTATION" | "QName" | "duration" | "gYear"
        | "gYearMonth" | "gMonth" | "gMonthDay" | "gDay" | "hexBinary" => Simple::String,
        "boolean" => Simple::Boolean,
        "byte" => Simple::Byte,
        "short" => Simple::Short,
        "int" => Simple::Int,
        "long" => Simple::Long,
        "integer" | "nonPositiveInteger" | "negativeInteger" | "nonNegativeInteger" | "positiveInteger" => {
            Simple::Integer
        }
        "unsignedByte" | "unsignedShort" | "unsignedInt" => Simple::UnsignedInt,
        "unsignedLong" => Simple::UnsignedLong,
        "decimal" => Simple::Decimal,
        "float" => Simple::Float,
        "double" => Simple::Double,
        "date" => Simple::Date,
        "dateTime" => Simple::DateTime,
        "time" => Simple::Time,
        "anyURI" => Simple::AnyUri,
        "base64Binary" => Simple::Base64Binary,
        _ => return None,
    })
}
