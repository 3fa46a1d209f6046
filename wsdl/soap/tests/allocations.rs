//! How often reading and writing an account asks for memory: it can be counted, so it is held here rather than in the
//! benchmark, with the benchmark's structures.
#![cfg(feature = "json")]
#![allow(clippy::unwrap_used, missing_docs, non_snake_case, unreachable_pub, dead_code)]

use std::alloc::System;

use soapstone_soap::{Envelope, Limits, decode, write};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[path = "../benches/codec/account.rs"]
mod account;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

use account::table::{GetAccountInfoResponse, OPERATION};

fn read(bytes: &[u8]) -> GetAccountInfoResponse {
    let limits = Limits::default();
    let text = decode(bytes, None, &limits).unwrap();
    let mut response = GetAccountInfoResponse::default();
    Envelope::open(&text, &limits).unwrap().answer(&OPERATION, &mut response).unwrap().unwrap();
    response
}

/// The only test of this program, since the counter counts everybody's.
#[test]
fn an_account_of_sixty_members_and_a_list_of_ten_takes_eighty_allocations_to_read_and_one_to_write() {
    let (text, _) = account::text();
    for text in [account::shuffled(&text), account::typed(&text), text] {
        let account = read(text.as_bytes());
        assert!(account.account_info.is_some());
        let region = Region::new(ALLOCATOR);
        drop(read(text.as_bytes()));
        let reading = region.change();
        assert!(reading.allocations + reading.reallocations <= 80, "{reading:?}");

        write::response(&OPERATION, &account).unwrap();
        let region = Region::new(ALLOCATOR);
        write::response(&OPERATION, &account).unwrap();
        let writing = region.change();
        assert!(writing.allocations + writing.reallocations <= 1, "{writing:?}");
    }
}
