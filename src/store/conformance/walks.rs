//! What walks rely on: who holds one, and what was delivered, page by page.

use super::*;

pub(crate) async fn a_note_is_swapped_by_whoever_is_first(mut bench: impl Bench) {
    let swap = async |bench: &dyn Control, before: Option<&str>, text: &str| {
        bench.swap_note("walk".into(), before.map(str::to_owned), text.into()).await.expect("an answer")
    };
    assert!(!swap(bench.store(), Some("1"), "2").await, "there is none");
    assert!(swap(bench.store(), None, "1").await);
    assert!(!swap(bench.store(), None, "2").await, "there is one");
    assert!(!swap(bench.store(), Some("0"), "2").await, "it is another");
    assert_eq!(bench.store().note("walk".into()).await, Ok(Some("1".into())));
    let (one, other) = tokio::join!(swap(bench.store(), Some("1"), "a"), swap(bench.store(), Some("1"), "b"));
    assert!(one ^ other, "one of two");
    let kept = if one { "a" } else { "b" };
    bench.reopen(at(1)).await;
    assert_eq!(bench.store().note("walk".into()).await, Ok(Some(kept.into())));
    let odd = "ž\u{0}\u{1}'\"";
    assert!(swap(bench.store(), Some(kept), odd).await);
    assert!(swap(bench.store(), Some(odd), "2").await);
}

/// All that was delivered to the handler, in pages of `limit`.
async fn all_delivered(bench: &impl Bench, handler: &str, limit: usize) -> Vec<Last> {
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..200 {
        let page = bench.store().delivered(handler.into(), after.clone(), limit).await.expect("an answer");
        assert!(page.lasts.len() <= limit, "{} on a page of {limit}", page.lasts.len());
        all.extend(page.lasts);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
    panic!("it doesn't end");
}

pub(crate) async fn what_was_delivered_is_found_page_by_page(mut bench: impl Bench) {
    assert_eq!(all_delivered(&bench, "a", 3).await, []);
    let customer = |id: u32| Subject { kind: SubjectKind::Customer, id: id.to_string() };
    let odd = Subject { kind: SubjectKind::Did, id: "+420 \u{0} '%".into() };
    let mut wanted = Vec::new();
    for number in 0..25_u32 {
        let about = match number {
            0..12 => subject(number),
            12..20 => customer(number),
            20 => odd.clone(),
            _ => subject(number),
        };
        let handler = if number < 21 { "a" } else { "b" };
        let made = Event { subject: about.clone(), ..event(None, number, at(1)) };
        bench.store().accept(made, to(handler)).await.expect("accepted");
        let claimed = claim_one(&bench, handler, 1).await;
        let last = Some(format!("of {about}"));
        bench.store().record(Record { last, ..delivered(&claimed) }).await.expect("recorded");
        if handler == "a" {
            wanted.push(Last { subject: about.clone(), pb_data: format!("of {about}"), at: at(2) });
        }
    }
    let sorted = |mut lasts: Vec<Last>| {
        lasts.sort_by(|one, other| one.subject.cmp(&other.subject));
        lasts
    };
    let wanted = sorted(wanted);
    for limit in [1, 2, 7, 21, 22, 100] {
        assert_eq!(sorted(all_delivered(&bench, "a", limit).await), wanted, "in pages of {limit}");
    }
    bench.reopen(at(9)).await;
    // the order stays, whatever comes and goes in between
    let first = bench.store().delivered("a".into(), None, 5).await.expect("an answer");
    let again = Event { subject: first.lasts[0].subject.clone(), ..event(None, 1, at(3)) };
    bench.store().accept(again, to("a")).await.expect("accepted");
    let claimed = claim_one(&bench, "a", 9).await;
    let record = Record { last: Some("anew".into()), ..delivered(&claimed) };
    bench.store().record(record).await.expect("recorded");
    let next = bench.store().delivered("a".into(), first.next.clone(), 100).await.expect("an answer");
    let met: Vec<Last> = first.lasts.iter().chain(&next.lasts).cloned().collect();
    assert_eq!(sorted(met), wanted);
    // a place of another kind of store is none
    let elsewhere = bench.store().delivered("a".into(), Some("nowhere".into()), 5).await.expect("an answer");
    assert_eq!(elsewhere.next, first.next);
}
