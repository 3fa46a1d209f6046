//! Reads what ESPF posts, because its types are loose: ids come as numbers or strings, and where they stand
//! depends on the event's type and PortaBilling's release.
//!
//! Whatever is not needed to route an event is left alone: unknown members are kept with the body and never
//! refused, since an event that is refused is lost for good.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::{Event, EventId, Subject, SubjectKind};

/// Why a body is not an event: the sender's fault, and no repetition will mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an event: {reason}")]
pub struct Unreadable {
    /// What is wrong with it, for the operator.
    pub reason: String,
}

impl Event {
    /// Reads the body of an event's POST.
    ///
    /// `date_header` is the request's `Date`: when the event happened, where its own `event_time` doesn't say.
    pub fn read(
        source: &str,
        body: &[u8],
        date_header: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, Unreadable> {
        let body = std::str::from_utf8(body).map_err(|error| unreadable(format!("not UTF-8: {error}")))?;
        // The depth is bounded by serde_json (128); of a key that comes twice the last one counts.
        let members: Map<String, Value> =
            serde_json::from_str(body).map_err(|error| unreadable(format!("not a JSON object: {error}")))?;
        let event_type = match members.get("event_type") {
            Some(Value::String(text)) if !text.trim().is_empty() => text.clone(),
            Some(_) => return Err(unreadable("event_type is not a text, or empty")),
            None => return Err(unreadable("event_type is missing")),
        };
        // Perl and PHP write an empty hash as `[]` or leave it away: no reason to lose the event.
        let none = Map::new();
        let variables = members.get("variables").and_then(Value::as_object).unwrap_or(&none);
        Ok(Self {
            id: EventId::at(now),
            source: source.to_owned(),
            i_env: number(variables, "i_env").or_else(|| number(&members, "i_env")),
            i_event: number(variables, "i_event").or_else(|| number(&members, "i_event")),
            subject: subject(&event_type, variables),
            event_time: event_time(variables).or_else(|| date_header.and_then(http_date)),
            received_at: now,
            body: body.to_owned(),
            event_type,
        })
    }
}

fn unreadable(reason: impl Into<String>) -> Unreadable {
    Unreadable { reason: reason.into() }
}

/// Where the ids stand, per first segment of the event type, best first.
///
/// Balance events name their account or customer `billing_entity_id`, so what that is depends on the type.
const SUBJECTS: &[(&str, &[(SubjectKind, &str)])] = &[
    ("subscriber", ACCOUNT),
    ("account", ACCOUNT),
    ("customer", CUSTOMER),
    ("customersite", CUSTOMER),
    ("did", &[(SubjectKind::Did, "number")]),
    ("invoice", &[(SubjectKind::Invoice, "i_invoice")]),
    ("sim", SIM),
    ("product", &[(SubjectKind::Product, "i_product")]),
];

const ACCOUNT: &[(SubjectKind, &str)] =
    &[(SubjectKind::Account, "i_account"), (SubjectKind::Account, "billing_entity_id")];

const CUSTOMER: &[(SubjectKind, &str)] =
    &[(SubjectKind::Customer, "i_customer"), (SubjectKind::Customer, "billing_entity_id")];

/// A SIM card's events are its account's, if it has one: they must not overtake the account's others.
const SIM: &[(SubjectKind, &str)] = &[
    (SubjectKind::Account, "i_account"),
    (SubjectKind::Sim, "i_sim_card"),
    (SubjectKind::Sim, "iccid"),
    (SubjectKind::Sim, "imsi"),
];

/// For types that came after this was written, and for those that lack what the table above expects.
const ANYTHING: &[(SubjectKind, &str)] = &[
    (SubjectKind::Account, "i_account"),
    (SubjectKind::Customer, "i_customer"),
    (SubjectKind::Did, "number"),
    (SubjectKind::Invoice, "i_invoice"),
    (SubjectKind::Sim, "i_sim_card"),
    (SubjectKind::Sim, "iccid"),
    (SubjectKind::Sim, "imsi"),
    (SubjectKind::Product, "i_product"),
];

fn subject(event_type: &str, variables: &Map<String, Value>) -> Subject {
    let entity = event_type.split('/').next().unwrap_or_default();
    let known = SUBJECTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(entity));
    let places = known.map_or(&[][..], |(_, places)| places).iter().chain(ANYTHING);
    for &(kind, key) in places {
        if let Some(id) = id(kind, variables, key) {
            return Subject { kind, id };
        }
    }
    Subject { kind: SubjectKind::Other, id: own_key(entity, variables).unwrap_or_default() }
}

/// `AccessPolicy/Changed` has `i_access_policy`: PortaBilling names keys so. The entity stays part of the id, because
/// keys of different entities are different things. Empty if there is none: such events go one after another.
fn own_key(entity: &str, variables: &Map<String, Value>) -> Option<String> {
    let mut key = String::from("i");
    for letter in entity.chars() {
        if letter.is_uppercase() {
            key.push('_');
        }
        key.extend(letter.to_lowercase());
    }
    let id = id(SubjectKind::Other, variables, &key)?;
    Some(format!("{key}={id}"))
}

/// An id as text, in one spelling: `5` and `"5"` are the same account. A telephone number, ICCID or IMSI stays as sent.
fn id(kind: SubjectKind, variables: &Map<String, Value>, key: &str) -> Option<String> {
    let text = match variables.get(key)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if text.is_empty() {
        return None;
    }
    match (kind, key) {
        (SubjectKind::Did, _) | (SubjectKind::Sim, "iccid" | "imsi") => Some(text),
        _ => Some(text.parse::<i64>().map(|number| number.to_string()).unwrap_or(text)),
    }
}

fn number(members: &Map<String, Value>, key: &str) -> Option<i64> {
    match members.get(key)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `YYYY-MM-DD HH:MM:SS`, which is UTC and says so nowhere (ESPF).
fn event_time(variables: &Map<String, Value>) -> Option<Timestamp> {
    let text = variables.get("event_time")?.as_str()?.trim();
    match text.parse::<DateTime>() {
        Ok(time) => time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()),
        Err(_) => text.parse().ok(),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-05-01T12:00:00Z".parse().expect("a time")
    }

    fn read(body: &str) -> Result<Event, Unreadable> {
        Event::read("main", body.as_bytes(), None, now())
    }

    fn event(body: &str) -> Event {
        read(body).expect("an event")
    }

    fn subject_of(body: &str) -> (SubjectKind, String) {
        let subject = event(body).subject;
        (subject.kind, subject.id)
    }

    #[test]
    fn ids_are_the_same_as_numbers_and_as_strings() {
        let number =
            event(r#"{"event_type":"Subscriber/Updated","variables":{"i_event":5,"i_account":1000889}}"#);
        let string =
            event(r#"{"event_type":"Subscriber/Updated","variables":{"i_event":"5","i_account":"1000889"}}"#);
        for event in [&number, &string] {
            assert_eq!(event.i_event, Some(5));
            assert_eq!(event.subject, Subject { kind: SubjectKind::Account, id: "1000889".into() });
            assert_eq!(event.i_account(), Some(1_000_889));
        }
    }

    #[test]
    fn i_event_is_taken_from_the_top_level_only_if_variables_lack_it() {
        let top = event(r#"{"event_type":"Subscriber/Updated","i_event":"7","variables":{"i_account":1}}"#);
        assert_eq!(top.i_event, Some(7));
        let both = event(
            r#"{"event_type":"Subscriber/Updated","i_event":7,"variables":{"i_event":8,"i_account":1}}"#,
        );
        assert_eq!(both.i_event, Some(8));
        let neither = event(r#"{"event_type":"Subscriber/Updated","variables":{"i_account":1}}"#);
        assert_eq!(neither.i_event, None);
    }

    #[test]
    fn the_body_is_kept_byte_for_byte_with_keys_that_nobody_knows() {
        let body = "{ \"variables\" : {\"i_account\":1,\"\\u00fcber\":[1.50,{}]},\n\"x\":null,\"event_type\":\"A/B\"}\n";
        assert_eq!(event(body).body, body);
    }

    #[test]
    fn each_type_names_its_subject_in_its_own_way() {
        use SubjectKind::*;
        let cases = [
            (r#"{"event_type":"Customer/Updated","variables":{"i_customer":"42"}}"#, Customer, "42"),
            (
                r#"{"event_type":"Account/BalanceChanged","variables":{"billing_entity_id":7,"curr_balance":"1.5"}}"#,
                Account,
                "7",
            ),
            (
                r#"{"event_type":"Customer/BalanceChanged","variables":{"billing_entity_id":"7"}}"#,
                Customer,
                "7",
            ),
            (
                r#"{"event_type":"Invoice/Created","variables":{"i_customer":1,"i_invoice":"900"}}"#,
                Invoice,
                "900",
            ),
            (r#"{"event_type":"DID/Updated","variables":{"number":"+0441234"}}"#, Did, "+0441234"),
            (r#"{"event_type":"DID/Updated","variables":{"number":"0041"}}"#, Did, "0041"),
            (r#"{"event_type":"DID/New","variables":{"number":41}}"#, Did, "41"),
            (r#"{"event_type":"SIM/Updated","variables":{"i_sim_card":3,"i_account":"9"}}"#, Account, "9"),
            (
                r#"{"event_type":"SIM/Created","variables":{"i_sim_card":3,"i_account":null,"imsi":"001"}}"#,
                Sim,
                "3",
            ),
            (r#"{"event_type":"SIM/Created","variables":{"imsi":"00101"}}"#, Sim, "00101"),
            (r#"{"event_type":"Product/Discount/Changed","variables":{"i_product":11}}"#, Product, "11"),
            (
                r#"{"event_type":"Account/Service/Netaccess/QuotaExceeded","variables":{"i_account":5}}"#,
                Account,
                "5",
            ),
            (r#"{"event_type":"account/ID/Changed","variables":{"i_account":5}}"#, Account, "5"),
            (r#"{"event_type":"Account/Id/Changed","variables":{"i_account":5}}"#, Account, "5"),
            (r#"{"event_type":"Subscriber/Name/Changed","variables":{"i_customer":5}}"#, Customer, "5"),
            (
                r#"{"event_type":"AccessPolicy/Changed","variables":{"i_access_policy":"12"}}"#,
                Other,
                "i_access_policy=12",
            ),
            (r#"{"event_type":"Custom/NewMonth","variables":{"i_account":5}}"#, Account, "5"),
            (r#"{"event_type":"Custom/NewMonth","variables":{}}"#, Other, ""),
            (r#"{"event_type":"Account/New","variables":{"i_account":"","i_customer":2}}"#, Customer, "2"),
            (r#"{"event_type":"","variables":{},"event_type":"DID/New"}"#, Other, ""),
        ];
        for (body, kind, id) in cases {
            assert_eq!(subject_of(body), (kind, id.to_owned()), "{body}");
        }
    }

    #[test]
    fn what_is_no_event_says_why() {
        let deep = format!(r#"{{"event_type":"A/B","variables":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        let cases = [
            // The sample that PortaOne's guide prints: a comma is missing.
            (
                "{\"event_type\":\"Subscriber/Created\",\"variables\":{\"i_event\":\"5\"\n\"i_account\":\"1\"}}",
                "expected `,`",
            ),
            ("", "EOF"),
            ("[]", "invalid type"),
            ("\"text\"", "invalid type"),
            ("{}", "event_type is missing"),
            (r#"{"event_type":"  ","variables":{}}"#, "empty"),
            (r#"{"event_type":5,"variables":{}}"#, "not a text"),
            (r#"{"event_type":"A/B","variables":{}} x"#, "trailing"),
            (deep.as_str(), "recursion limit"),
        ];
        for (body, why) in cases {
            let error = read(body).expect_err(body);
            assert!(error.reason.contains(why), "{body}: {error}");
        }
        let error = Event::read("main", b"{\"event_type\":\"\xff\"}", None, now()).expect_err("not UTF-8");
        assert!(error.reason.contains("UTF-8"), "{error}");
    }

    #[test]
    fn an_event_without_variables_is_an_event() {
        for body in [r#"{"event_type":"A/B"}"#, r#"{"event_type":"A/B","i_event":3,"variables":[]}"#] {
            assert_eq!(subject_of(body), (SubjectKind::Other, String::new()), "{body}");
        }
    }

    #[test]
    fn an_id_that_is_no_number_is_no_reason_to_refuse() {
        let odd = event(r#"{"event_type":"A/B","variables":{"i_event":"x","i_env":[],"i_account":{}}}"#);
        assert_eq!((odd.i_event, odd.i_env), (None, None));
        let huge = event(r#"{"event_type":"Account/New","variables":{"i_account":99999999999999999999}}"#);
        assert_eq!(huge.subject.kind, SubjectKind::Account);
        assert_eq!(huge.i_account(), None);
    }

    #[test]
    fn the_time_is_the_events_own_or_else_the_date_headers() {
        let happened = |variables: &str, date: Option<&str>| {
            let body = format!(r#"{{"event_type":"A/B","variables":{variables}}}"#);
            let event = Event::read("main", body.as_bytes(), date, now()).expect("an event");
            event.event_time.map(|time| time.to_string())
        };
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let own = r#"{"event_time":"2026-04-30 23:59:59"}"#;
        assert_eq!(happened(own, date).as_deref(), Some("2026-04-30T23:59:59Z"));
        assert_eq!(happened("{}", date).as_deref(), Some("1994-11-06T08:49:37Z"));
        assert_eq!(happened(r#"{"event_time":"soon"}"#, date).as_deref(), Some("1994-11-06T08:49:37Z"));
        assert_eq!(happened(r#"{"event_time":0}"#, Some("yesterday")), None);
        assert_eq!(happened("{}", None), None);
    }
}
