//! An account's structure, 60 scalars and a list of ten, once over a table as generated code has it and once for
//! serde, and texts of it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use soapstone_soap::{
    DateTime, Decimal, Member, Operation, Part, Shape, Structure, Style, Type, Value, Version, Xsd,
};

/// Structures over tables, in a module: every member may be left out.
macro_rules! tables {
    ($($name:ident $table:ident { $($member:ident: $ty:ty = $kind:expr;)* })*) => {$(
        #[derive(Clone, Default, PartialEq)]
        pub struct $name { $(pub $member: $ty,)* }
        pub static $table: Shape = Shape::new(
            stringify!($name),
            NAMESPACE,
            &[$(Member::new(stringify!($member), $kind).optional(),)*],
        );
        impl Structure for $name {
            fn shape(&self) -> &'static Shape {
                &$table
            }
            fn member(&self, index: usize) -> &dyn Value {
                $(const $member: usize = At::$member as usize;)*
                enum At { $($member),* }
                match index { $($member => &self.$member,)* _ => soapstone_soap::no_member(&$table, index) }
            }
            fn member_mut(&mut self, index: usize) -> &mut dyn Value {
                $(const $member: usize = At::$member as usize;)*
                enum At { $($member),* }
                match index { $($member => &mut self.$member,)* _ => soapstone_soap::no_member(&$table, index) }
            }
        }
        soapstone_soap::structures! { $name }
    )*};
}

/// The same for serde.
macro_rules! derives {
    ($($name:ident $table:ident { $($member:ident: $ty:ty = $kind:expr;)* })*) => {$(
        #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
        pub struct $name {
            $(#[serde(default, skip_serializing_if = "absent")] pub $member: $ty,)*
        }
    )*};
}

/// What serde needs to write them with a type on every element, as our writer does.
macro_rules! types {
    ($($name:ident $table:ident { $($member:ident: $ty:ty = $kind:expr;)* })*) => {$(
        impl Serialize for Typed<'_, Option<super::derived::$name>> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Some(value) = self.0 else { return serializer.serialize_none() };
                Typed(value).serialize(serializer)
            }
        }
        impl Serialize for Typed<'_, super::derived::$name> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut out = serializer.serialize_struct(stringify!($name), 64)?;
                out.serialize_field("@xsi:type", concat!("tns:", stringify!($name)))?;
                $(out.serialize_field(stringify!($member), &Typed(&self.0.$member))?;)*
                out.end()
            }
        }
    )*};
}

/// The members; `$flavour` is one of the macros above, the rest is what stands for money, a date, and a list.
macro_rules! account {
    ($flavour:ident, $money:ty, $date:ty, $features:ty) => {
        $flavour! {
            GetAccountInfoResponse GET_ACCOUNT_INFO_RESPONSE {
                account_info: Option<AccountInfo> = Type::Structure(&ACCOUNT_INFO);
            }
            AccountInfo ACCOUNT_INFO {
                i_account: Option<i64> = Type::Xsd(Xsd::Int);
                id: Option<String> = Type::Xsd(Xsd::String);
                balance: Option<$money> = Type::Xsd(Xsd::Float);
                credit_limit: Option<$money> = Type::Xsd(Xsd::Float);
                batch_name: Option<String> = Type::Xsd(Xsd::String);
                bill_status: Option<String> = Type::Xsd(Xsd::String);
                activation_date: Option<$date> = Type::Xsd(Xsd::DateTime);
                expiration_date: Option<$date> = Type::Xsd(Xsd::DateTime);
                first_usage: Option<$date> = Type::Xsd(Xsd::DateTime);
                last_usage: Option<$date> = Type::Xsd(Xsd::DateTime);
                last_recharge: Option<$date> = Type::Xsd(Xsd::DateTime);
                issue_date: Option<$date> = Type::Xsd(Xsd::DateTime);
                i_customer: Option<i64> = Type::Xsd(Xsd::Int);
                customer_name: Option<String> = Type::Xsd(Xsd::String);
                i_product: Option<i64> = Type::Xsd(Xsd::Int);
                product_name: Option<String> = Type::Xsd(Xsd::String);
                i_vd_plan: Option<i64> = Type::Xsd(Xsd::Int);
                i_routing_plan: Option<i64> = Type::Xsd(Xsd::Int);
                blocked: Option<bool> = Type::Xsd(Xsd::Boolean);
                opening_balance: Option<$money> = Type::Xsd(Xsd::Float);
                billing_model: Option<i64> = Type::Xsd(Xsd::Int);
                email: Option<String> = Type::Xsd(Xsd::String);
                h323_password: Option<String> = Type::Xsd(Xsd::String);
                login: Option<String> = Type::Xsd(Xsd::String);
                password: Option<String> = Type::Xsd(Xsd::String);
                firstname: Option<String> = Type::Xsd(Xsd::String);
                lastname: Option<String> = Type::Xsd(Xsd::String);
                midinit: Option<String> = Type::Xsd(Xsd::String);
                salutation: Option<String> = Type::Xsd(Xsd::String);
                companyname: Option<String> = Type::Xsd(Xsd::String);
                baddr1: Option<String> = Type::Xsd(Xsd::String);
                baddr2: Option<String> = Type::Xsd(Xsd::String);
                city: Option<String> = Type::Xsd(Xsd::String);
                state: Option<String> = Type::Xsd(Xsd::String);
                zip: Option<String> = Type::Xsd(Xsd::String);
                country: Option<String> = Type::Xsd(Xsd::String);
                phone1: Option<String> = Type::Xsd(Xsd::String);
                phone2: Option<String> = Type::Xsd(Xsd::String);
                faxnum: Option<String> = Type::Xsd(Xsd::String);
                cont1: Option<String> = Type::Xsd(Xsd::String);
                cont2: Option<String> = Type::Xsd(Xsd::String);
                note: Option<String> = Type::Xsd(Xsd::String);
                i_lang: Option<String> = Type::Xsd(Xsd::String);
                iso_4217: Option<String> = Type::Xsd(Xsd::String);
                out_date_format: Option<String> = Type::Xsd(Xsd::String);
                out_time_format: Option<String> = Type::Xsd(Xsd::String);
                out_date_time_format: Option<String> = Type::Xsd(Xsd::String);
                in_date_format: Option<String> = Type::Xsd(Xsd::String);
                in_time_format: Option<String> = Type::Xsd(Xsd::String);
                i_time_zone: Option<i64> = Type::Xsd(Xsd::Int);
                time_zone_name: Option<String> = Type::Xsd(Xsd::String);
                redirect_number: Option<String> = Type::Xsd(Xsd::String);
                ecommerce_enabled: Option<bool> = Type::Xsd(Xsd::Boolean);
                inactive: Option<bool> = Type::Xsd(Xsd::Boolean);
                um_enabled: Option<bool> = Type::Xsd(Xsd::Boolean);
                i_distributor: Option<i64> = Type::Xsd(Xsd::Int);
                i_env: Option<i64> = Type::Xsd(Xsd::Int);
                control_number: Option<i64> = Type::Xsd(Xsd::Int);
                sip_status: Option<i64> = Type::Xsd(Xsd::Int);
                account_discount: Option<$money> = Type::Xsd(Xsd::Float);
                service_features: $features = Type::Array(&Type::Structure(&SERVICE_FEATURE));
            }
            ServiceFeature SERVICE_FEATURE {
                name: Option<String> = Type::Xsd(Xsd::String);
                flag_value: Option<String> = Type::Xsd(Xsd::String);
                effective: Option<i64> = Type::Xsd(Xsd::Int);
                price: Option<$money> = Type::Xsd(Xsd::Float);
            }
        }
    };
}

const NAMESPACE: &str = "http://example.com/Porta/SOAP/Account";

/// Over tables, with the same Rust types as serde has below.
#[allow(non_camel_case_types, non_upper_case_globals)]
pub mod table {
    use super::*;
    account!(tables, f64, String, Vec<ServiceFeature>);
    pub static OPERATION: Operation =
        operation(&GET_ACCOUNT_INFO_RESPONSE, || Box::<GetAccountInfoResponse>::default());
}

/// Over tables, as generated for PortaBilling: exact decimals, and dates that are dates.
#[allow(non_camel_case_types, non_upper_case_globals)]
pub mod exact {
    use super::*;
    account!(tables, Decimal, DateTime, Vec<ServiceFeature>);
    pub static OPERATION: Operation =
        operation(&GET_ACCOUNT_INFO_RESPONSE, || Box::<GetAccountInfoResponse>::default());
}

const fn operation(shape: &'static Shape, empty: fn() -> Box<dyn Structure>) -> Operation {
    Operation {
        service: "Account",
        name: "get_account_info",
        namespace: NAMESPACE,
        output_namespace: NAMESPACE,
        action: "",
        style: Style::RpcEncoded,
        documentation: "",
        versions: &[Version::Soap11],
        one_way: false,
        headers: &[],
        output_headers: &[],
        fault_headers: &[],
        faults: None,
        input: Part { name: "GetAccountInfoRequest", shape, empty },
        output: Part { name: "GetAccountInfoResponse", shape, empty },
    }
}

/// For quick-xml's serde, envelope and all.
pub mod derived {
    use super::*;
    account!(derives, f64, String, Items<ServiceFeature>);

    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    pub struct Envelope {
        #[serde(rename(deserialize = "Body", serialize = "SOAP-ENV:Body"))]
        pub body: Body,
    }

    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    pub struct Body {
        pub get_account_infoResponse: GetAccountInfoResponse,
    }

    /// The element of an array.
    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    pub struct Items<T> {
        #[serde(default = "Vec::new")]
        pub item: Vec<T>,
    }

    fn absent<T: Default + PartialEq>(value: &T) -> bool {
        *value == T::default()
    }
}

/// For quick-xml's serde, written with types.
pub mod typed {
    use serde::Serializer;
    use serde::ser::SerializeStruct as _;

    use super::*;

    pub struct Typed<'a, T>(pub &'a T);

    account!(types, f64, String, Items<ServiceFeature>);

    macro_rules! scalars {
        ($($ty:ty = $name:literal;)*) => {$(
            impl Serialize for Typed<'_, Option<$ty>> {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let mut out = serializer.serialize_struct("scalar", 2)?;
                    out.serialize_field("@xsi:type", $name)?;
                    out.serialize_field("$text", self.0)?;
                    out.end()
                }
            }
        )*};
    }
    scalars! { String = "xsd:string"; i64 = "xsd:int"; f64 = "xsd:float"; bool = "xsd:boolean"; }

    impl Serialize for Typed<'_, derived::Items<derived::ServiceFeature>> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let items: Vec<_> = self.0.item.iter().map(Typed).collect();
            let mut out = serializer.serialize_struct("array", 3)?;
            out.serialize_field("@soapenc:arrayType", &format!("tns:ServiceFeature[{}]", items.len()))?;
            out.serialize_field("@xsi:type", "soapenc:Array")?;
            out.serialize_field("item", &items)?;
            out.end()
        }
    }
}

/// The corpus' text of 3.7 KB, or one of the same kind where the corpus isn't there; says which.
pub fn text() -> (String, &'static str) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/account-info-3.7k.xml");
    match std::fs::read_to_string(corpus) {
        Ok(text) => (text, "the corpus' account-info-3.7k.xml"),
        Err(_) => (made_up(), "a text made here, since the corpus isn't there"),
    }
}

/// 60 scalars, a list of ten, some text to be unescaped: about as long as the corpus' one.
fn made_up() -> String {
    let value = |member: &Member, index: usize| match member.ty {
        Type::Xsd(Xsd::Int) => (100_000 + index * 7_919).to_string(),
        Type::Xsd(Xsd::Float) => format!("{}.{}", 60 + index, 10_001 + index * 13),
        Type::Xsd(Xsd::Boolean) => index.is_multiple_of(2).to_string(),
        Type::Xsd(Xsd::DateTime) => format!("2026-{:02}-{:02} 12:32:57", index % 12 + 1, index % 28 + 1),
        _ => ["bravo &amp; 42", "Smith Lane", "echo", "+12065551234 Smith", "delta example.com"][index % 5]
            .into(),
    };
    let scalars = |shape: &Shape| -> String {
        let scalars =
            shape.members.iter().enumerate().filter(|(_, member)| matches!(member.ty, Type::Xsd(_)));
        scalars.map(|(index, member)| format!("<{0}>{1}</{0}>", member.name, value(member, index))).collect()
    };
    let item = format!("<item>{}</item>", scalars(&table::SERVICE_FEATURE));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope \
         xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:ns1=\"{NAMESPACE}\"><SOAP-ENV:Body>\
         <ns1:get_account_infoResponse><account_info>{}<service_features>{}</service_features></account_info>\
         </ns1:get_account_infoResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>",
        scalars(&table::ACCOUNT_INFO),
        item.repeat(10),
    )
}

/// The same with the members of the account in another order, as Perl's hashes have them.
pub fn shuffled(text: &str) -> String {
    let (head, rest) = text.split_once("<account_info>").expect("an account");
    let (members, tail) = rest.split_once("</account_info>").expect("an account");
    let mut parts = Vec::new();
    let mut rest = members;
    while let Some(name) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(name, _)| name)
    {
        let close = format!("</{name}>");
        let end = rest.find(&close).expect("an end") + close.len();
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    // Fisher and Yates with a little generator of its own, the same every time
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for index in (1..parts.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        parts.swap(index, (state % (index as u64 + 1)) as usize);
    }
    format!("{head}<account_info>{}</account_info>{tail}", parts.concat())
}

/// The same with a type on every element, as rpc/encoded peers send it.
pub fn typed(text: &str) -> String {
    let declared = text.replacen(
        "xmlns:ns1=",
        "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:ns1=",
        1,
    );
    let (head, members) = declared.split_once("<account_info>").expect("an account");
    let mut out = format!("{head}<account_info xsi:type=\"ns1:AccountInfo\">");
    for piece in members.split_inclusive('<') {
        match piece.split_once('>') {
            Some((name, rest)) if !name.starts_with('/') => {
                out.push_str(&format!("{name} xsi:type=\"xsd:string\">{rest}"));
            }
            _ => out.push_str(piece),
        }
    }
    out
}
