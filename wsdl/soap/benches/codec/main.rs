//! What reading and writing one account costs, compared with quick-xml's serde and with its raw events.
//!
//! All are timed in turns within one run, so that the ratios hold on any machine, quiet or not. Aims: reading at most
//! 0.45 of serde and 80 allocations, shuffled members at most 1.2 times the ordered ones, writing at most 0.25; with
//! attributes and namespaces, both at most 0.5.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, non_snake_case, unreachable_pub)]

use std::alloc::System;
use std::hint::black_box;
use std::time::{Duration, Instant};

use quick_xml::events::Event;
use soapstone_soap::{Envelope, Json, Limits, Operation, Structure, decode, write};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod account;
mod orders;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn read<T: Structure + Default>(operation: &Operation, bytes: &[u8]) -> T {
    let limits = Limits::default();
    let text = decode(bytes, None, &limits).unwrap();
    let mut response = T::default();
    Envelope::open(&text, &limits).unwrap().answer(operation, &mut response).unwrap().unwrap();
    response
}

fn read_serde(bytes: &[u8]) -> account::derived::Envelope {
    quick_xml::de::from_str(std::str::from_utf8(bytes).unwrap()).unwrap()
}

fn read_events(bytes: &[u8]) -> usize {
    let mut reader = quick_xml::Reader::from_str(std::str::from_utf8(bytes).unwrap());
    let mut count = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return count,
            event => count += black_box(&event).len(),
        }
    }
}

/// One thing to be measured.
struct Case<'a> {
    name: &'static str,
    run: Box<dyn Fn() + 'a>,
    /// The quickest round; what disturbs only makes slower.
    best: Duration,
    allocations: usize,
}

fn case<'a, T>(name: &'static str, run: impl Fn() -> T + 'a) -> Case<'a> {
    Case { name, run: Box::new(move || drop(black_box(run()))), best: Duration::MAX, allocations: 0 }
}

/// Times the cases in turns.
fn measure(cases: &mut [Case<'_>]) {
    const ROUNDS: usize = 60;
    const CALLS: u32 = 200;
    for round in 0..ROUNDS {
        for case in &mut *cases {
            if round == 0 {
                // the first call may set something up for good
                (case.run)();
                let region = Region::new(ALLOCATOR);
                (case.run)();
                let change = region.change();
                case.allocations = change.allocations + change.reallocations;
            }
            let started = Instant::now();
            for _ in 0..CALLS {
                (case.run)();
            }
            case.best = case.best.min(started.elapsed() / CALLS);
        }
    }
}

/// One line per case; the last column against the case called `unit`.
fn print(title: &str, cases: &[Case<'_>], unit: &str) {
    let unit_best = cases.iter().find(|case| case.name == unit).unwrap().best.as_secs_f64();
    println!("\n{title:<44}{:>9} {:>12} {:>12}", "µs", "allocations", "ratio");
    for case in cases {
        let best = case.best.as_secs_f64();
        println!("{:<44}{:>9.2} {:>12} {:>12.2}", case.name, best * 1e6, case.allocations, best / unit_best);
    }
}

fn main() {
    use account::{exact, table};

    let (plain, source) = account::text();
    let (shuffled, typed) = (account::shuffled(&plain), account::typed(&plain));
    println!("{source}, {} bytes; with types {} bytes", plain.len(), typed.len());
    let ours = read::<table::GetAccountInfoResponse>(&table::OPERATION, plain.as_bytes());
    let exact = read::<exact::GetAccountInfoResponse>(&exact::OPERATION, plain.as_bytes());
    let derived = read_serde(plain.as_bytes());
    // what is compared is the same: every way reads the same account
    assert_eq!(serde_json::to_value(Json(&ours)).unwrap()["account_info"]["account_discount"], 706.39671);
    for text in [&shuffled, &typed] {
        assert!(ours == read(&table::OPERATION, text.as_bytes()));
        assert_eq!(derived, read_serde(text.as_bytes()));
    }

    let mut reading = [
        case("quick-xml serde", || read_serde(plain.as_bytes())),
        case("quick-xml raw events", || read_events(plain.as_bytes())),
        case("table", || read::<table::GetAccountInfoResponse>(&table::OPERATION, plain.as_bytes())),
        case("table, decimals and dates", || {
            read::<exact::GetAccountInfoResponse>(&exact::OPERATION, plain.as_bytes())
        }),
    ];
    measure(&mut reading);
    print("reading", &reading, "quick-xml serde");

    let mut types = [
        case("quick-xml serde", || read_serde(typed.as_bytes())),
        case("quick-xml raw events", || read_events(typed.as_bytes())),
        case("table", || read::<table::GetAccountInfoResponse>(&table::OPERATION, typed.as_bytes())),
    ];
    measure(&mut types);
    print("reading, a type on every element", &types, "quick-xml serde");

    let mut order = [
        case("ordered", || read::<table::GetAccountInfoResponse>(&table::OPERATION, plain.as_bytes())),
        case("shuffled", || read::<table::GetAccountInfoResponse>(&table::OPERATION, shuffled.as_bytes())),
        case("shuffled, quick-xml serde", || read_serde(shuffled.as_bytes())),
    ];
    measure(&mut order);
    print("reading, the order of members", &order, "ordered");

    let mut writing = [
        case("quick-xml serde, without types", || quick_xml::se::to_string(&derived).unwrap()),
        case("table", || write::response(&table::OPERATION, &ours).unwrap()),
        case("table, decimals and dates", || write::response(&exact::OPERATION, &exact).unwrap()),
    ];
    measure(&mut writing);
    print("writing; ours writes types", &writing, "quick-xml serde, without types");

    let account = &derived.body.get_account_infoResponse;
    let text = quick_xml::se::to_string(&account::typed::Typed(account)).unwrap();
    assert!(text.contains("<i_account xsi:type=\"xsd:int\">"), "{text}");
    let mut types = [
        case("quick-xml serde, with types", || {
            quick_xml::se::to_string(&account::typed::Typed(account)).unwrap()
        }),
        case("table", || write::response(&table::OPERATION, &ours).unwrap()),
    ];
    measure(&mut types);
    print("writing, both with types", &types, "quick-xml serde, with types");
    attributes();
}

/// Document/literal, with attributes and two namespaces.
fn attributes() {
    let plain = orders::text();
    println!("\norders, {} bytes", plain.len());
    let ours = read::<orders::FindOrdersResponse>(&orders::OPERATION, plain.as_bytes());
    let read_serde = || quick_xml::de::from_str::<orders::derived::Envelope>(&plain).unwrap();
    let derived = read_serde();
    assert_eq!(ours.order.len(), derived.body.response.order.len());
    assert_eq!(ours.order[4].source, derived.body.response.order[4].source);
    assert_eq!(ours.order[4].line[2].amount.value, derived.body.response.order[4].line[2].amount.value);
    let written = write::response(&orders::OPERATION, &ours).unwrap();
    assert!(ours == read(&orders::OPERATION, written.as_bytes()));

    let mut reading = [
        case("quick-xml serde", read_serde),
        case("quick-xml raw events", || read_events(plain.as_bytes())),
        case("table", || read::<orders::FindOrdersResponse>(&orders::OPERATION, plain.as_bytes())),
    ];
    measure_each(&mut reading, "reading attributes and namespaces");
    let mut writing = [
        case("quick-xml serde", || quick_xml::se::to_string(&derived).unwrap()),
        case("table", || write::response(&orders::OPERATION, &ours).unwrap()),
    ];
    measure_each(&mut writing, "writing attributes and namespaces");
}

fn measure_each(cases: &mut [Case<'_>], title: &str) {
    measure(cases);
    print(title, cases, "quick-xml serde");
}
