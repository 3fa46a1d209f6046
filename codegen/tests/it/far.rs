//! Structures that are hundreds deep in each other: rustc gives up after 128 levels, which nobody who uses what is
//! generated shall have to know.

use std::fmt::Write as _;
use std::fs;

use soapstone_codegen::Config;
use soapstone_soap::{Far, Structure as _};

use crate::compiles::far::types::{Link01, Link02};
use crate::corpus::check;

const STRUCTURES: usize = 300;

/// A schema of structures that each hold the next one, the last one the first where they go in a circle; `occurs`
/// is how.
fn definition(structures: usize, occurs: &str, circle: bool) -> String {
    let mut types = String::new();
    for number in 0..structures {
        let next = number + 1;
        let ty = match circle {
            _ if next < structures => format!("tns:Link{next}"),
            true => "tns:Link0".to_owned(),
            false => "xsd:string".to_owned(),
        };
        let _ = write!(
            types,
            "<xsd:complexType name=\"Link{number}\"><xsd:sequence><xsd:element name=\"id\" type=\"xsd:int\"/>\
             <xsd:element name=\"next\" type=\"{ty}\" {occurs}/></xsd:sequence></xsd:complexType>"
        );
    }
    format!(
        "<xsd:schema xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:tns=\"urn:links\" \
         targetNamespace=\"urn:links\">{types}</xsd:schema>"
    )
}

/// What programs do with a structure that rustc has to look all through it for.
const USE: &str = "
    pub fn used() -> impl Future<Output = ()> + Send {
        let mut link = types::Link0::default();
        async move {
            let copy: Box<dyn soapstone_soap::Structure> = Box::new(link.clone());
            std::future::ready(()).await;
            link.id += 1;
            drop((copy, link));
        }
    }
";

#[test]
fn hundreds_of_structures_that_are_in_each_other_compile_in_a_crate_without_any_attributes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (many, maybe) = ("minOccurs=\"0\" maxOccurs=\"unbounded\"", "minOccurs=\"0\"");
    let mut code = String::new();
    for (name, occurs, circle) in
        [("chain", many, false), ("circle", many, true), ("nested", maybe, false), ("round", maybe, true)]
    {
        let path = folder.path().join(name).with_extension("xsd");
        fs::write(&path, definition(STRUCTURES, occurs, circle)).expect("written");
        let (generated, report) = Config::new().definition(&path).generate().expect("generated");
        assert_eq!(report.structures, STRUCTURES, "{name}");
        let _ = write!(code, "#[allow(missing_docs)]\npub mod {name} {{\n{generated}\n{USE}}}\n");
    }
    let checked = check::check("far", &code);
    eprintln!("{} structures checked in {:.1} CPU s, {:.0} MiB", 4 * STRUCTURES, checked.cpu, checked.peak);
}

#[test]
fn what_is_near_enough_has_no_pointer_and_what_is_not_has_few() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("links.xsd");
    // a `Vec` of structures is four of rustc's levels, and the generator leaves it 96
    for (structures, circle, few) in
        [(24, false, 0..=0), (24, true, 0..=0), (25, false, 1..=1), (25, true, 1..=2), (300, true, 12..=24)]
    {
        let text = definition(structures, "minOccurs=\"0\" maxOccurs=\"unbounded\"", circle);
        fs::write(&path, text).expect("written");
        let (code, _) = Config::new().definition(&path).generate().expect("generated");
        let far = code.matches("::Far<").count();
        assert!(few.contains(&far), "{structures} {circle}: {far}");
    }
}

#[test]
fn what_is_far_away_is_used_like_a_box() {
    let mut link = Link01 { id: 1, next: vec![Link02::default()] };
    link.next[0].id = 2;
    let mut far = Far::from(link.clone());
    assert_eq!(*far, link);
    assert_eq!(format!("{far:?}"), format!("{link:?}"));
    assert!(std::ptr::eq(far.shape(), link.shape()));
    far.next.clear();
    assert_ne!(far.clone(), Far::from(link.clone()));
    link.next.clear();
    assert_eq!(far.into_inner(), link);
    assert_eq!(Far::<Link01>::default().id, 0);
}
