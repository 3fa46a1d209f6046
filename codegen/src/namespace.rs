//! The namespaces that definitions are written in.

pub(crate) const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
pub(crate) const WSDL_20: &str = "http://www.w3.org/ns/wsdl";
pub(crate) const WSDL_SOAP: &str = "http://schemas.xmlsoap.org/wsdl/soap/";
pub(crate) const WSDL_SOAP_12: &str = "http://schemas.xmlsoap.org/wsdl/soap12/";
pub(crate) const WSDL_HTTP: &str = "http://schemas.xmlsoap.org/wsdl/http/";
pub(crate) const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// What it was called in drafts that services written in the years before it still name.
pub(crate) const XSD_DRAFTS: [&str; 3] = [
    "http://www.w3.org/1999/XMLSchema",
    "http://www.w3.org/2000/08/XMLSchema",
    "http://www.w3.org/2000/10/XMLSchema",
];
pub(crate) const SOAP_ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";
pub(crate) const SOAP_ENCODING_12: &str = "http://www.w3.org/2003/05/soap-encoding";
