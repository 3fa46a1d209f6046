//! What a definition demands of values: said in the documentation, checked when asked for.

use soapstone_soap::check;

use crate::compiles::facets::types::{Call2 as Call, Color, Money};

fn good() -> Call {
    Call {
        code: "EUR".into(),
        levels: vec![1, 2],
        color: Color::Blue,
        pair: vec![1, 2],
        money: Money { value: "999.90".parse().expect("a number"), currency: Some("EUR".into()) },
        positive: 1,
        from: "2000-01-02".parse().expect("a day"),
    }
}

#[test]
fn what_is_as_the_definition_demands_passes() {
    assert_eq!(check(&good()), []);
}

#[test]
fn every_demand_that_is_broken_is_said_with_its_place() {
    let mut call = Call {
        code: "Euros!".into(),
        levels: vec![1, 3],
        color: "green".into(),
        pair: vec![1],
        positive: 0,
        from: "2000-01-01".parse().expect("a day"),
        ..good()
    };
    call.money = Money { value: "-1000.125".parse().expect("a number"), currency: Some("EURO".into()) };
    let found: Vec<String> = check(&call).iter().map(ToString::to_string).collect();
    let expected = [
        "code: not at most 5 long",
        "code: not of the pattern ([A-Z]+)|([0-9]+)",
        "levels[1]: not one of 1, 2",
        "color: not a value that the definition has",
        "pair: not 2 long items",
        "money.value: not of at most 6 digits",
        "money.value: not of at most 2 digits after the point",
        "money.value: not at least 0",
        "money.currency: not 3 long",
        "positive: not a value of positiveInteger",
        "from: not more than 2000-01-01",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_documentation_says_what_is_demanded_in_any_case() {
    let case = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/facets");
    let (code, _) = soapstone_codegen::Config::new().definitions(case).generate().expect("code");
    assert!(code.contains("/// What it is called.\n"), "{code}");
    assert!(
        code.contains("/// At least 1 long, at most 5 long, of the pattern `([A-Z]+)|([0-9]+)`."),
        "{code}"
    );
    assert!(!code.contains("Facet::"), "only with the setting");
}
