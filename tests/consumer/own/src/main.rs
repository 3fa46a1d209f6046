//! A definition of one's own in a program elsewhere: messages as they go over the wire, both ways, and a typed fault.

include!(concat!(env!("OUT_DIR"), "/library.rs"));

use std::error::Error;

use library::{Book, BookChoice, FindBooks, FindBooksCall, FindBooksFault, FindBooksResponse, NoSuchAuthor};
use soapstone_soap::{Answer, Call as _, Envelope, Fault, Headers, Limits, write};

fn main() -> Result<(), Box<dyn Error>> {
    let operation = FindBooksCall::operation();
    let limits = Limits::default();

    let request = FindBooks { author: Some("Čapek & Čapek".into()), limit: Some(10) };
    let text = write::request(operation, None, &request)?;
    println!("{text}");
    let expected = "<FindBooks xmlns=\"urn:example:library\"><author>Čapek &amp; Čapek</author><limit>10</limit></FindBooks>";
    assert!(text.contains(expected), "{text}");

    let lent = Book {
        title: "R.U.R.".into(),
        published: Some("1920-11-25".parse()?),
        choice: BookChoice::LentUntil("2026-12-24".parse()?),
        isbn: Some("80-00-00000-0".into()),
    };
    let response = FindBooksResponse { book: vec![lent, Book::default()] };
    let text = write::response(operation, &response)?;
    println!("{text}");
    let mut again = FindBooksResponse::default();
    Envelope::open(&text, &limits)?.answer(operation, &mut again)??;
    assert_eq!(again, response);

    let detail = FindBooksFault::NoSuchAuthor(NoSuchAuthor { author: "Nobody".into() });
    let fault = Fault::new("Client", "never heard of");
    let answer =
        Answer::typed_fault(operation, operation.version(), &Headers::default(), &fault, Some(&detail));
    println!("{}", answer.body);
    let fault = Envelope::open(&answer.body, &limits)?.into_fault()?;
    assert_eq!(fault.typed::<FindBooksCall>()?, Some(detail));
    Ok(())
}
