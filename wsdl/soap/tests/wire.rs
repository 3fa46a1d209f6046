//! Reading and writing over a table written by hand: what generated code does, without the generator.
#![allow(clippy::unwrap_used)]

use soapstone_soap::{
    Any, Decimal, Envelope, Fault, Header, Limits, Member, Nillable, Operation, Part, ReadErrorKind, Shape,
    Slot, Structure, Style, Type, Value, Version, View, Xsd, decode, structures, write,
};

const NS: &str = "http://schemas.portaone.com/soap";

#[derive(Clone, Default, PartialEq)]
struct Account {
    i_account: Option<i64>,
    id: Option<String>,
    balance: Option<Decimal>,
    credit_limit: Nillable<Decimal>,
    active: Option<bool>,
    features: Vec<Feature>,
    codes: Vec<i64>,
    parent: Option<Box<Account>>,
    extra: Option<Any>,
    password: Option<String>,
    notes: Vec<String>,
}

#[derive(Clone, Default, PartialEq)]
struct Feature {
    name: Option<String>,
    values: Vec<Option<String>>,
}

static ACCOUNT: Shape = Shape::new(
    "Account",
    NS,
    &[
        Member::new("i_account", Type::Xsd(Xsd::Int)).optional(),
        Member::new("id", Type::Xsd(Xsd::String)).optional(),
        Member::new("balance", Type::Xsd(Xsd::Float)).optional(),
        Member::new("credit_limit", Type::Xsd(Xsd::Float)).optional().nillable(),
        Member::new("active", Type::Xsd(Xsd::Boolean)).optional(),
        Member::new("features", Type::Array(&Type::Structure(&FEATURE))).optional(),
        Member::new("codes", Type::Array(&Type::Xsd(Xsd::Int))).optional(),
        Member::new("parent", Type::Structure(&ACCOUNT)).optional(),
        Member::new("extra", Type::Any).optional(),
        Member::new("password", Type::Xsd(Xsd::String)).optional().secret(),
        Member::new("notes", Type::Repeated(&Type::Xsd(Xsd::String))).optional(),
    ],
);
static FEATURE: Shape = Shape::new(
    "Feature",
    NS,
    &[
        Member::new("name", Type::Xsd(Xsd::String)).optional(),
        Member::new("values", Type::Array(&Type::Xsd(Xsd::String))).optional(),
    ],
);

impl Structure for Account {
    fn shape(&self) -> &'static Shape {
        &ACCOUNT
    }
    fn member(&self, index: usize) -> &dyn Value {
        match index {
            0 => &self.i_account,
            1 => &self.id,
            2 => &self.balance,
            3 => &self.credit_limit,
            4 => &self.active,
            5 => &self.features,
            6 => &self.codes,
            7 => &self.parent,
            8 => &self.extra,
            9 => &self.password,
            10 => &self.notes,
            _ => panic!("no such member"),
        }
    }
    fn member_mut(&mut self, index: usize) -> &mut dyn Value {
        match index {
            0 => &mut self.i_account,
            1 => &mut self.id,
            2 => &mut self.balance,
            3 => &mut self.credit_limit,
            4 => &mut self.active,
            5 => &mut self.features,
            6 => &mut self.codes,
            7 => &mut self.parent,
            8 => &mut self.extra,
            9 => &mut self.password,
            10 => &mut self.notes,
            _ => panic!("no such member"),
        }
    }
}

impl Structure for Feature {
    fn shape(&self) -> &'static Shape {
        &FEATURE
    }
    fn member(&self, index: usize) -> &dyn Value {
        match index {
            0 => &self.name,
            _ => &self.values,
        }
    }
    fn member_mut(&mut self, index: usize) -> &mut dyn Value {
        match index {
            0 => &mut self.name,
            _ => &mut self.values,
        }
    }
}

structures! { Account Feature }
#[cfg(feature = "json")]
soapstone_soap::json_faces! { Account Feature }

static GET: Operation = Operation {
    service: "Account",
    name: "get",
    namespace: NS,
    output_namespace: NS,
    action: "http://schemas.portaone.com/soap#get",
    style: Style::RpcEncoded,
    documentation: "",
    versions: &[Version::Soap11],
    one_way: false,
    output_headers: &[],
    fault_headers: &[],
    faults: None,
    headers: &[Header {
        name: "auth_info",
        namespace: NS,
        shape: &FEATURE,
        empty: || Box::new(Feature::default()),
    }],
    input: Part { name: "GetRequest", shape: &ACCOUNT, empty: || Box::new(Account::default()) },
    output: Part { name: "GetResponse", shape: &ACCOUNT, empty: || Box::new(Account::default()) },
};

/// A response body around `members`, with the usual namespaces declared.
fn around(members: &str) -> String {
    format!(
        r##"<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:c="http://schemas.xmlsoap.org/soap/encoding/" xmlns:n="{NS}"><e:Body>{members}</e:Body></e:Envelope>"##
    )
}

fn read_text(text: &str) -> Result<Account, String> {
    let limits = Limits::default();
    let envelope = Envelope::open(text, &limits).map_err(|error| error.to_string())?;
    let mut account = Account::default();
    envelope.read("GetResponse", &mut account).map_err(|error| error.to_string())?;
    Ok(account)
}

fn read(members: &str) -> Result<Account, String> {
    read_text(&around(&format!("<n:getResponse><GetResponse>{members}</GetResponse></n:getResponse>")))
}

fn full() -> Account {
    Account {
        i_account: Some(7),
        id: Some(" a<b>&\"c\" ]]> \r\n\ttab é😀 ".into()),
        balance: Some("12.10".parse().unwrap()),
        credit_limit: Nillable::Nil,
        active: Some(true),
        features: vec![
            Feature { name: Some("x".into()), values: vec![Some("1".into()), None, Some(String::new())] },
            Feature::default(),
        ],
        codes: vec![1, -2],
        parent: Some(Box::new(Account { id: Some("p".into()), ..Account::default() })),
        extra: Some(Any::List(vec![Any::Text("t".into()), Any::Structure(vec![("k".into(), Any::Nil)])])),
        password: Some("s3cr3t".into()),
        notes: vec!["one".into(), "two".into()],
    }
}

#[test]
fn what_is_written_is_read_back_the_same() {
    let text = write::response(&GET, &full()).unwrap();
    assert_eq!(read_text(&text).unwrap(), full());
    assert!(text.contains("<balance xsi:type=\"xsd:float\">12.10</balance>"), "{text}");
    assert!(text.contains("soapenc:arrayType=\"tns:Feature[2]\" xsi:type=\"soapenc:Array\""), "{text}");
    assert!(text.contains("<credit_limit xsi:nil=\"true\"/>"), "{text}");
}

#[test]
fn a_request_bears_its_header_and_one_parameter() {
    let header = Feature { name: Some("s-1".into()), values: vec![] };
    let text =
        write::request(&GET, Some(&header), &Account { i_account: Some(1), ..Account::default() }).unwrap();
    assert!(
        text.contains("<soap:Header><tns:auth_info><name xsi:type=\"xsd:string\">s-1</name></tns:auth_info>")
    );
    let limits = Limits::default();
    let envelope = Envelope::open(&text, &limits).unwrap();
    assert_eq!((envelope.name(), envelope.namespace()), (Some("get"), NS));
    let mut read = Feature::default();
    assert!(envelope.header("auth_info", &mut read).unwrap());
    assert_eq!(read, header);
    assert!(!envelope.header("other", &mut read).unwrap());
}

#[test]
fn a_message_of_several_parts_has_them_in_the_body_element_itself() {
    static LOGIN: Operation = Operation {
        input: Part { name: "", shape: &FEATURE, empty: || Box::new(Feature::default()) },
        output: Part { name: "", shape: &FEATURE, empty: || Box::new(Feature::default()) },
        service: "Old",
        name: "login",
        namespace: NS,
        output_namespace: NS,
        action: "",
        style: Style::RpcEncoded,
        documentation: "",
        versions: &[Version::Soap11],
        one_way: false,
        headers: &[],
        output_headers: &[],
        fault_headers: &[],
        faults: None,
    };
    let parts = Feature { name: Some("n".into()), values: vec![Some("v".into())] };
    let text = write::request(&LOGIN, None, &parts).unwrap();
    assert!(text.contains("encoding/\"><name xsi:type=\"xsd:string\">n</name>"), "{text}");
    let limits = Limits::default();
    let mut read = Feature::default();
    Envelope::open(&text, &limits).unwrap().read("", &mut read).unwrap();
    assert_eq!(read, parts);
}

#[test]
fn members_come_in_any_order_with_any_prefix_and_unknown_ones_between() {
    let account = read(
        r#"<n:id>x</n:id><unknown a="1"><deep><er/></deep></unknown><i_account xmlns="urn:other"> 5 </i_account><!-- c --><?pi?>"#,
    )
    .unwrap();
    assert_eq!((account.id.as_deref(), account.i_account), (Some("x"), Some(5)));
}

#[test]
fn absent_nil_and_empty_are_three_things() {
    assert_eq!(read("").unwrap().credit_limit, Nillable::Absent);
    assert_eq!(
        read(r#"<credit_limit xsi:nil="1" xsi:type="xsd:float"/>"#).unwrap().credit_limit,
        Nillable::Nil
    );
    assert_eq!(read("<credit_limit/>").unwrap().credit_limit, Nillable::Absent);
    assert_eq!(read("<id/>").unwrap().id.as_deref(), Some(""));
    assert_eq!(read(r#"<id xsi:nil="false">x</id>"#).unwrap().id.as_deref(), Some("x"));
    let old = r#"<id xmlns:i="http://www.w3.org/1999/XMLSchema-instance" i:null="1"/>"#;
    assert_eq!(read(old).unwrap().id, None);
    let foreign = r#"<id xmlns:i="urn:mine" i:nil="true">x</id>"#;
    assert_eq!(read(foreign).unwrap().id.as_deref(), Some("x"));
}

#[test]
fn attributes_without_a_prefix_are_a_structures_own_and_none_of_soaps_encoding() {
    assert_eq!(
        read("<codes position='[3]'><i offset='[2]' position='[1]'>5</i></codes>").unwrap().codes,
        [5]
    );
    assert_eq!(read("<id type='base64'>YQ==</id>").unwrap().id.as_deref(), Some("YQ=="));
    assert_eq!(read("<id nil='true' type='Map'>x</id>").unwrap().id.as_deref(), Some("x"));
    assert_eq!(read("<id xsi:type='xsd:base64'>YQ==</id>").unwrap().id.as_deref(), Some("a"));
}

#[test]
fn text_is_put_together_from_its_pieces() {
    let account = read("<id>a&amp;b<![CDATA[<c>]]>&#x1F600;<!-- no -->d&#233;\r\ne</id>").unwrap();
    assert_eq!(account.id.as_deref(), Some("a&b<c>😀dé\ne"));
}

#[test]
fn types_come_from_the_definition_and_base64_text_is_unwrapped() {
    let utf8 = read(r#"<id xsi:type="xsd:base64Binary">xb1sdXTDoQ==</id>"#).unwrap();
    assert_eq!(utf8.id.as_deref(), Some("Žlutá"));
    let latin1 = read(r#"<id xsi:type="c:base64">Wm/r</id>"#).unwrap();
    assert_eq!(latin1.id.as_deref(), Some("Zoë"));
    assert_eq!(read(r#"<id xsi:type="xsd:long">+420</id>"#).unwrap().id.as_deref(), Some("+420"));
    assert_eq!(read(r#"<active xsi:type="xsd:int">1</active>"#).unwrap().active, Some(true));
}

#[test]
fn arrays_are_read_in_every_spelling() {
    let codes = |text: &str| read(text).map(|account| account.codes);
    let item = "<x>1</x><y xsi:type='xsd:int'>2</y>";
    for array in [
        format!("<codes c:arrayType='xsd:int[2]' xsi:type='c:Array'>{item}</codes>"),
        format!("<codes c:arrayType='xsd:anyType[]'>{item}</codes>"),
        format!("<codes c:arrayType='xsd:int[99]'>{item}</codes>"),
        format!("<codes>{item}</codes>"),
        "<codes>1</codes><codes>2</codes>".to_string(),
    ] {
        assert_eq!(codes(&array).unwrap(), [1, 2], "{array}");
    }
    assert_eq!(codes("<codes c:arrayType='xsd:int[0]'/>").unwrap(), [0_i64; 0]);
    assert_eq!(codes("<codes xsi:nil='true'/>").unwrap(), [0_i64; 0]);
    assert_eq!(codes("<codes c:offset='[1]'><i>5</i></codes>").unwrap(), [0, 5]);
    assert_eq!(codes("<codes><i c:position='[2]'>5</i></codes>").unwrap(), [0, 0, 5]);
    let in_any_order = "<codes><i c:position='[1]'>2</i><i c:position='[0]'>1</i><i>3</i></codes>";
    assert_eq!(codes(in_any_order).unwrap(), [1, 2, 3]);
    assert!(codes("<codes><i c:position='[99999999]'>5</i></codes>").unwrap_err().contains("limit"));
    assert!(
        codes("<codes><i>x</i></codes>").unwrap_err().starts_with("codes[0]: \"x\" is not a valid integer")
    );
}

#[test]
fn references_lead_forward_backward_and_to_shared_values() {
    let text = around(
        r##"<n:getResponse><r href="#0"/></n:getResponse><m id="0"><id href="#s"/><i_account href="#n"/><features href="#f"/><parent href="#p"/></m><m id="n">9</m><m id="s">text</m><c:Array id="f" c:arrayType="n:Feature[2]"><i href="#g"/><i href="#g"/></c:Array><m id="g"><name href="#s"/></m><m id="p"><id>q</id></m>"##,
    );
    let account = read_text(&text).unwrap();
    assert_eq!((account.id.as_deref(), account.i_account), (Some("text"), Some(9)));
    assert_eq!(account.features.len(), 2);
    assert_eq!(account.features[1].name.as_deref(), Some("text"));
    assert_eq!(account.parent.unwrap().id.as_deref(), Some("q"));
}

#[test]
fn a_reference_into_itself_or_to_nowhere_is_an_error() {
    let cycle = around(r##"<n:getResponse><r href="#0"/></n:getResponse><m id="0"><parent href="#0"/></m>"##);
    assert!(read_text(&cycle).unwrap_err().contains("leads back to itself"));
    let missing = around(r##"<n:getResponse><r href="#0"/></n:getResponse>"##);
    assert!(read_text(&missing).unwrap_err().contains("leads nowhere"));
}

#[test]
fn many_references_to_one_value_use_up_the_budget_instead_of_memory() {
    // ten levels of ten references each would be ten thousand million elements
    let mut body = String::from(r##"<n:getResponse><r href="#0"/></n:getResponse>"##);
    for level in 0..10 {
        let items = format!(r##"<i href="#{}"/>"##, level + 1).repeat(10);
        body.push_str(&format!(r##"<m id="{level}"><extra c:arrayType="x[]">{items}</extra></m>"##));
    }
    body.push_str(r#"<m id="10">x</m>"#);
    let text = around(&body);
    let refused = |limits: Limits| {
        let error = Envelope::open(&text, &limits).unwrap().read("r", &mut Account::default()).unwrap_err();
        error.kind
    };
    let elements = Limits { elements: 10_000, expansion: 10_000, ..Limits::default() };
    assert_eq!(refused(elements), ReadErrorKind::Limit { what: "elements", limit: 10_000 });
    let what = "elements read through references";
    // the message itself has 125 elements
    assert_eq!(refused(Limits::default()), ReadErrorKind::Limit { what, limit: 1250 });
}

#[test]
fn maps_and_bare_members_are_understood() {
    let map = read_text(&around(
        r#"<n:getResponse><r xmlns:a="http://xml.apache.org/xml-soap" xsi:type="a:Map"><item><key>id</key><value>m</value></item><item><key>no such</key><value>x</value></item></r></n:getResponse>"#,
    ));
    assert_eq!(map.unwrap().id.as_deref(), Some("m"));
    let bare =
        read_text(&around("<n:getResponse><i_account>3</i_account><id>b</id></n:getResponse>")).unwrap();
    assert_eq!((bare.i_account, bare.id.as_deref()), (Some(3), Some("b")));
    let nothing = read_text(&around("<n:getResponse xsi:nil='true'/>")).unwrap();
    assert_eq!(nothing, Account::default());
}

#[test]
fn untyped_values_are_kept_as_they_came() {
    let extra = |text: &str| read(&format!("<extra {text}</extra>")).unwrap().extra.unwrap();
    assert_eq!(extra(">t"), Any::Text("t".into()));
    assert_eq!(extra("><a>1</a><b xsi:nil='1'/>").get("a"), Some(&Any::Text("1".into())));
    assert_eq!(extra("c:arrayType='x[1]'><a>1</a>"), Any::List(vec![Any::Text("1".into())]));
    assert_eq!(extra("c:arrayType='x[0]'>"), Any::List(vec![]));
}

#[test]
fn faults_of_both_versions_are_read_and_ours_is_one() {
    let limits = Limits::default();
    let open = |text: &str| Envelope::open(text, &limits).unwrap().into_fault().unwrap();
    let fault = Fault::new("Server.Account.duplicate_id", "taken <&>")
        .with_detail(Any::Structure(vec![("code".into(), Any::Text("x".into()))]));
    let text = write::fault(&fault);
    assert!(text.contains("<faultcode>soap:Server.Account.duplicate_id</faultcode>"), "{text}");
    let read = open(&text);
    assert_eq!((read.code(), read.message.as_str()), ("Server.Account.duplicate_id", "taken <&>"));
    assert_eq!(read.detail.unwrap().get("code").and_then(Any::text), Some("x"));
    let soap12 = r#"<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>m:Deep</e:Value></e:Subcode></e:Code><e:Reason><e:Text xml:lang="en">why</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>"#;
    assert_eq!(Envelope::open(soap12, &limits).unwrap().version(), Version::Soap12);
    assert_eq!(open(soap12).to_string(), "Deep: why");
}

#[test]
fn what_is_no_answer_is_refused_with_a_place() {
    let whole = write::response(&GET, &full()).unwrap();
    for cut in 1..whole.len() {
        if whole.is_char_boundary(cut) {
            assert!(read_text(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
    for (text, expected) in [
        ("", "it is empty"),
        ("hello", "it is no XML document"),
        ("<html/>", "its root is <html>"),
        ("<Envelope xmlns='urn:x'/>", "neither SOAP 1.1 nor 1.2"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "(DTD) is refused (line 1, column 1)"),
    ] {
        let error = read_text(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert!(read("<id>&nbsp;</id>").unwrap_err().contains("&nbsp;"));
    assert!(read("<id>&#1;</id>").unwrap_err().contains("U+0001"));
    assert!(read("<id><b/></id>").unwrap_err().contains("id: elements where a simple value belongs"));
    assert!(read("<id a='1' a='2'/>").is_err());
    assert!(read_text(&(around("<n:getResponse/>") + "<more/>")).is_err());
    assert!(
        read("<parent><balance>x</balance></parent>")
            .unwrap_err()
            .starts_with("parent.balance: \"x\" is not a valid")
    );
}

#[test]
fn depth_values_attributes_and_size_are_limited() {
    let deep = format!("{}{}", "<x>".repeat(100_000), "</x>".repeat(100_000));
    assert!(read(&deep).unwrap_err().contains("64 levels"));
    let wide: String = (0..65).map(|index| format!(" a{index}='1'")).collect();
    assert!(read(&format!("<id{wide}/>")).unwrap_err().contains("64 attributes"));
    let limits = Limits { value_bytes: 10, ..Limits::default() };
    let text = around("<n:getResponse><r><id>0123456789a</id></r></n:getResponse>");
    let error = Envelope::open(&text, &limits).unwrap().read("r", &mut Account::default()).unwrap_err();
    assert!(error.to_string().contains("10 bytes in a value"), "{error}");
    let limits = Limits { list_bytes: 1 << 20, ..Limits::default() };
    let text = around(&format!(
        "<n:getResponse><r><features>{}</features></r></n:getResponse>",
        "<i/>".repeat(40_000)
    ));
    let error = Envelope::open(&text, &limits).unwrap().read("r", &mut Account::default()).unwrap_err();
    assert!(error.to_string().contains("bytes in lists"), "{error}");
    let limits = Limits { message_bytes: 10, ..Limits::default() };
    assert!(decode(text.as_bytes(), None, &limits).is_err());
}

#[test]
fn secrets_are_not_shown_and_absent_members_neither() {
    let shown = format!("{:?}", full());
    assert!(shown.contains("password: ***") && !shown.contains("s3cr3t"), "{shown}");
    assert_eq!(
        format!("{:?}", Account { i_account: Some(1), ..Account::default() }),
        "Account { i_account: 1 }"
    );
}

#[test]
fn a_value_that_xml_cannot_hold_is_not_sent() {
    let error =
        write::response(&GET, &Account { id: Some("a\u{1}".into()), ..Account::default() }).unwrap_err();
    assert_eq!(error.to_string(), "id: the character U+0001 is not allowed in XML");
}

#[test]
fn the_erased_view_reaches_every_member() {
    let mut account = (GET.output.empty)();
    for (index, member) in ACCOUNT.members.iter().enumerate() {
        let slot = account.member_mut(index).open();
        let fits = matches!(
            (member.ty, slot),
            (Type::Xsd(_), Slot::Scalar(_))
                | (Type::Structure(_), Slot::Structure(_))
                | (Type::Array(_) | Type::Repeated(_), Slot::List(_))
                | (Type::Any, Slot::Any(_))
        );
        assert!(fits, "{}", member.name);
        account.member_mut(index).set_absent();
        assert!(matches!(account.member(index).view(), View::Absent | View::List(_)), "{}", member.name);
    }
}

#[cfg(feature = "json")]
mod json {
    use super::*;

    #[test]
    fn json_is_the_same_structure() {
        let text = serde_json::to_string(&full()).unwrap();
        assert!(text.contains(r#""credit_limit":null"#), "{text}");
        assert_eq!(
            serde_json::from_str::<Account>(&text).unwrap(),
            Account { balance: Some("12.1".parse().unwrap()), ..full() }
        );
    }

    #[test]
    fn loose_types_are_taken() {
        let text = r#"{"i_account":"7","id":7,"active":"Y","balance":"12.10","features":[],"parent":[],"unknown":{"a":[1]}}"#;
        let account: Account = serde_json::from_str(text).unwrap();
        assert_eq!(
            (account.i_account, account.id.as_deref(), account.active),
            (Some(7), Some("7"), Some(true))
        );
        assert_eq!(account.balance.unwrap().to_string(), "12.10");
        let error =
            serde_json::from_str::<Account>(r#"{"parent":{"codes":[1,"x"]}}"#).unwrap_err().to_string();
        assert!(error.starts_with("parent: codes: [1]: not a valid integer"), "{error}");
    }
}
