//! The schemas that everybody imports and nobody has beside their definition.

use crate::namespace::XSD;

/// Schemas that definitions import by namespace alone: file name, namespace, what a file that uses it has in it, and
/// as much of the schema as anybody names. SOAP's encoding is known without one.
pub(crate) const BUNDLED: &[(&str, &str, &str, &str)] = &[
    ("xml.xsd", "http://www.w3.org/XML/1998/namespace", "\"xml:", include_str!("bundled/xml.xsd")),
    (
        "xmlmime.xsd",
        "http://www.w3.org/2005/05/xmlmime",
        "http://www.w3.org/2005/05/xmlmime",
        include_str!("bundled/xmlmime.xsd"),
    ),
    (
        "xop.xsd",
        "http://www.w3.org/2004/08/xop/include",
        "http://www.w3.org/2004/08/xop/include",
        include_str!("bundled/xop.xsd"),
    ),
    (
        "addressing.xsd",
        "http://www.w3.org/2005/08/addressing",
        "http://www.w3.org/2005/08/addressing",
        include_str!("bundled/addressing.xsd"),
    ),
    (
        "addressing-2004.xsd",
        "http://schemas.xmlsoap.org/ws/2004/08/addressing",
        "http://schemas.xmlsoap.org/ws/2004/08/addressing",
        include_str!("bundled/addressing-2004.xsd"),
    ),
    (
        "security.xsd",
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
        include_str!("bundled/security.xsd"),
    ),
    (
        "swaref.xsd",
        "http://ws-i.org/profiles/basic/1.1/xsd",
        "http://ws-i.org/profiles/basic/1.1/xsd",
        include_str!("bundled/swaref.xsd"),
    ),
    (
        "apache.xsd",
        "http://xml.apache.org/xml-soap",
        "http://xml.apache.org/xml-soap",
        include_str!("bundled/apache.xsd"),
    ),
    // .NET's data sets hold a schema: `<element ref="s:schema"/><any/>`
    ("schema.xsd", XSD, ":schema\"", include_str!("bundled/schema.xsd")),
    (
        "envelope.xsd",
        "http://schemas.xmlsoap.org/soap/envelope/",
        "http://schemas.xmlsoap.org/soap/envelope/",
        include_str!("bundled/envelope.xsd"),
    ),
];
