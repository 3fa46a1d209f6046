//! Orders in document/literal, with attributes and elements of two namespaces: once over tables as generated code has
//! them, once for serde.

use serde::{Deserialize, Serialize};
use soapstone_soap::{Element, Member, Operation, Part, Place, Shape, Style, Type, Version, Xsd};

const ORDERS: &str = "urn:example:orders";
const COMMON: &str = "urn:example:common";

#[derive(Default)]
pub struct FindOrdersResponse {
    pub order: Vec<Order>,
    pub total: Option<i32>,
    pub more: Option<bool>,
}

#[derive(Default)]
pub struct Order {
    pub customer: Option<Customer>,
    pub placed: String,
    pub line: Vec<Line>,
    pub id: i64,
    pub state: Option<String>,
    pub source: Option<String>,
}

#[derive(Default)]
pub struct Customer {
    pub name: String,
    pub email: Option<String>,
    pub kind: Option<String>,
}

#[derive(Default)]
pub struct Line {
    pub amount: Amount,
    pub note: Option<String>,
    pub number: i32,
    pub sku: String,
}

#[derive(Default)]
pub struct Amount {
    pub value: f64,
    pub currency: Option<String>,
}

static FIND_ORDERS_RESPONSE: Shape = Shape::new(
    "FindOrdersResponse",
    ORDERS,
    &[
        Member::new("order", Type::Repeated(&Type::Structure(&ORDER))).optional(),
        Member::new("total", Type::Xsd(Xsd::Int)).at(Place::Attribute).optional(),
        Member::new("more", Type::Xsd(Xsd::Boolean)).at(Place::Attribute).optional(),
    ],
)
.qualified();
static ORDER: Shape = Shape::new(
    "Order",
    ORDERS,
    &[
        Member::new("customer", Type::Structure(&CUSTOMER)).of(COMMON).optional(),
        Member::new("placed", Type::Xsd(Xsd::String)),
        Member::new("line", Type::Repeated(&Type::Structure(&LINE))).optional(),
        Member::new("id", Type::Xsd(Xsd::Long)).at(Place::Attribute),
        Member::new("state", Type::Xsd(Xsd::String)).at(Place::Attribute).optional(),
        Member::new("source", Type::Xsd(Xsd::String)).at(Place::Attribute).of(COMMON).optional(),
    ],
)
.qualified();
static CUSTOMER: Shape = Shape::new(
    "Customer",
    COMMON,
    &[
        Member::new("name", Type::Xsd(Xsd::String)),
        Member::new("email", Type::Xsd(Xsd::String)).optional(),
        Member::new("kind", Type::Xsd(Xsd::String)).at(Place::Attribute).optional(),
    ],
)
.qualified();
static LINE: Shape = Shape::new(
    "Line",
    ORDERS,
    &[
        Member::new("amount", Type::Structure(&AMOUNT)),
        Member::new("note", Type::Xsd(Xsd::String)).of(COMMON).optional(),
        Member::new("number", Type::Xsd(Xsd::Int)).at(Place::Attribute),
        Member::new("sku", Type::Xsd(Xsd::String)).at(Place::Attribute),
    ],
)
.qualified();
static AMOUNT: Shape = Shape::new(
    "Amount",
    ORDERS,
    &[
        Member::new("value", Type::Xsd(Xsd::Decimal)).at(Place::Text),
        Member::new("currency", Type::Xsd(Xsd::String)).at(Place::Attribute).optional(),
    ],
);

soapstone_soap::members! {
    FindOrdersResponse FIND_ORDERS_RESPONSE { 0 order, 1 total, 2 more, }
    Order ORDER { 0 customer, 1 placed, 2 line, 3 id, 4 state, 5 source, }
    Customer CUSTOMER { 0 name, 1 email, 2 kind, }
    Line LINE { 0 amount, 1 note, 2 number, 3 sku, }
    Amount AMOUNT { 0 value, 1 currency, }
}
soapstone_soap::structures! { FindOrdersResponse Order Customer Line Amount }

pub static OPERATION: Operation = Operation {
    service: "Orders",
    name: "FindOrders",
    namespace: ORDERS,
    output_namespace: ORDERS,
    action: "",
    style: Style::Document {
        input: Element { name: "FindOrdersResponse", namespace: ORDERS },
        output: Element { name: "FindOrdersResponse", namespace: ORDERS },
    },
    documentation: "",
    versions: &[Version::Soap11],
    one_way: false,
    headers: &[],
    output_headers: &[],
    fault_headers: &[],
    faults: None,
    input: Part { name: "", shape: &FIND_ORDERS_RESPONSE, empty: || Box::<FindOrdersResponse>::default() },
    output: Part { name: "", shape: &FIND_ORDERS_RESPONSE, empty: || Box::<FindOrdersResponse>::default() },
};

/// For quick-xml's serde, envelope and all; written with prefixes that the envelope declares.
pub mod derived {
    use super::*;

    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    #[serde(rename = "s:Envelope")]
    pub struct Envelope {
        #[serde(rename(serialize = "@xmlns:s"), default)]
        pub s: String,
        #[serde(rename(serialize = "@xmlns:o"), default)]
        pub o: String,
        #[serde(rename(serialize = "@xmlns:c"), default)]
        pub c: String,
        #[serde(rename(deserialize = "Body", serialize = "s:Body"))]
        pub body: Body,
    }
    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    pub struct Body {
        #[serde(rename(deserialize = "FindOrdersResponse", serialize = "o:FindOrdersResponse"))]
        pub response: FindOrdersResponse,
    }
    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    pub struct FindOrdersResponse {
        #[serde(rename = "@total")]
        pub total: Option<i32>,
        #[serde(rename = "@more")]
        pub more: Option<bool>,
        #[serde(rename(deserialize = "order", serialize = "o:order"), default)]
        pub order: Vec<Order>,
    }
    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    pub struct Order {
        #[serde(rename = "@id")]
        pub id: i64,
        #[serde(rename = "@state")]
        pub state: Option<String>,
        #[serde(rename(deserialize = "@source", serialize = "@c:source"))]
        pub source: Option<String>,
        #[serde(rename(deserialize = "customer", serialize = "c:customer"))]
        pub customer: Option<Customer>,
        #[serde(rename(deserialize = "placed", serialize = "o:placed"))]
        pub placed: String,
        #[serde(rename(deserialize = "line", serialize = "o:line"), default)]
        pub line: Vec<Line>,
    }
    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    pub struct Customer {
        #[serde(rename = "@kind")]
        pub kind: Option<String>,
        #[serde(rename(deserialize = "name", serialize = "c:name"))]
        pub name: String,
        #[serde(rename(deserialize = "email", serialize = "c:email"))]
        pub email: Option<String>,
    }
    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    pub struct Line {
        #[serde(rename = "@number")]
        pub number: i32,
        #[serde(rename = "@sku")]
        pub sku: String,
        #[serde(rename(deserialize = "amount", serialize = "o:amount"))]
        pub amount: Amount,
        #[serde(rename(deserialize = "note", serialize = "c:note"))]
        pub note: Option<String>,
    }
    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    pub struct Amount {
        #[serde(rename = "@currency")]
        pub currency: Option<String>,
        #[serde(rename = "$text")]
        pub value: f64,
    }
}

/// Five orders of three lines, as a stack that declares its prefixes once would send them.
pub fn text() -> String {
    let line = |number: i32| {
        format!(
            "<o:line number=\"{number}\" sku=\"SKU-{number:05}\"><o:amount currency=\"EUR\">{}.5</o:amount>\
             <c:note>deliver to the back door &amp; ring twice</c:note></o:line>",
            number * 12
        )
    };
    let order = |id: i32| {
        let lines: String = (1..=3).map(line).collect();
        format!(
            "<o:order id=\"{id}\" state=\"open\" c:source=\"web\"><c:customer kind=\"person\">\
             <c:name>Smith Lane {id}</c:name><c:email>smith{id}@example.com</c:email></c:customer>\
             <o:placed>2026-11-20T12:30:00Z</o:placed>{lines}</o:order>"
        )
    };
    let orders: String = (4711..4716).map(order).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope \
         xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:o=\"{ORDERS}\" xmlns:c=\"{COMMON}\"><s:Body>\
         <o:FindOrdersResponse total=\"5\" more=\"false\">{orders}</o:FindOrdersResponse></s:Body></s:Envelope>"
    )
}
