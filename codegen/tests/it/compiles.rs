//! What is generated for the good cases is Rust, and does what the definition says.

use soapstone_soap::{Member, Nillable, Service, Slot, Structure, Type, Value, View};

use crate::golden::cases;

macro_rules! compiled {
    ($($module:ident)*) => {
        $(
            pub(crate) mod $module {
                include!(concat!("../cases/", stringify!($module), "/expected.rs"));
            }
        )*
        pub(crate) const COMPILED: &[(&str, &[&Service])] = &[$((stringify!($module), $module::SERVICES)),*];
    };
}
compiled! {
    any any_literal arrays attributes both_ends choices circular copies dataset derived documentation drafts elsewhere encodings everybody facets far header imports letters literal literal_arrays literal_rpc mime mixed names nillable numbers parts recursion redefined renamed scalars schemas services settings shared simple_types smallest soap_1_2 spaceless substitution unclear undefined unserved
}

#[test]
fn every_case_with_code_is_compiled_here() {
    let folders: Vec<_> = cases()
        .into_iter()
        .filter(|case| case.join("expected.rs").exists())
        .filter_map(|case| Some(case.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let compiled: Vec<_> = COMPILED.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, compiled);
}

#[test]
fn a_table_says_what_its_structure_holds() {
    for (case, services) in COMPILED {
        for operation in services.iter().flat_map(|service| service.operations) {
            for part in [&operation.input, &operation.output] {
                let mut structure = (part.empty)();
                assert!(std::ptr::eq(structure.shape(), part.shape), "{case}: {}", operation.name);
                agree(&mut *structure, 4);
            }
        }
    }
}

/// Opens every member and compares it with the table, `depth` structures deep.
fn agree(structure: &mut dyn Structure, depth: usize) {
    let shape = structure.shape();
    for (index, member) in shape.members.iter().enumerate() {
        if depth > 0 {
            opens(structure.member_mut(index), member, &member.ty, depth);
        }
        let value = structure.member_mut(index);
        value.set_nil();
        let keeps_nil = (member.optional || shape.choice) && member.nillable;
        let is_scalar = matches!(member.ty, Type::Xsd(_) | Type::Structure(_) | Type::Raw);
        assert_eq!(
            matches!(value.view(), View::Nil),
            keeps_nil && is_scalar || any_is_nil(member),
            "{member:?}"
        );
        value.set_absent();
        if is_scalar && (member.optional || member.nillable) {
            assert!(matches!(structure.member(index).view(), View::Absent), "{member:?}");
        }
    }
}

/// `Any` has a nil of its own, which an `Option` around it hides.
fn any_is_nil(member: &Member) -> bool {
    matches!(member.ty, Type::Any) && !member.optional
}

fn opens(value: &mut dyn Value, member: &Member, ty: &Type, depth: usize) {
    match (value.open(), ty) {
        (Slot::Scalar(_), Type::Xsd(_) | Type::Raw) | (Slot::Any(_), Type::Any) => {}
        (Slot::Structure(structure), Type::Structure(shape)) => {
            assert!(std::ptr::eq(structure.shape(), *shape), "{member:?}");
            agree(structure, depth - 1);
        }
        (Slot::List(list), Type::Array(item) | Type::Repeated(item) | Type::List(item)) => {
            opens(list.push(), member, item, depth)
        }
        (Slot::List(list), Type::Items(items) | Type::NamedArray(items)) => {
            opens(list.push(), member, &items.ty, depth)
        }
        _ => panic!("not what the table says: {member:?}"),
    }
}

fn text(structure: &dyn Structure, name: &str) -> String {
    let index = structure.shape().position(name.as_bytes(), 0).expect("a member");
    let mut text = String::new();
    if let View::Scalar(scalar) = structure.member(index).view() {
        scalar.write(&mut text);
    }
    text
}

#[test]
fn members_that_differ_in_case_only_are_told_apart() {
    let request = names::types::Request {
        cli: Some("cli".into()),
        cli_2: Some("CLI".into()),
        cli_3: Some("Cli".into()),
        r#type: Some("type".into()),
        self_: Some("self".into()),
        ..Default::default()
    };
    for name in ["cli", "CLI", "Cli", "type", "self"] {
        assert_eq!(text(&request, name), name);
    }
}

#[test]
fn absent_and_nil_differ_where_a_member_may_be_both() {
    let request =
        nillable::example::Request { required: 1, optional: Some(2), nillable: None, both: Nillable::Nil };
    assert_eq!(format!("{request:?}"), "Request { required: 1, optional: 2, both: nil }");
}

#[test]
fn a_structure_may_hold_itself() {
    use recursion::types::{Left, Right, Tree};
    let leaf = Tree::default();
    let tree = Tree { children: vec![leaf.clone(), leaf.clone()], parent: Nillable::Value(Box::new(leaf)) };
    assert_eq!(tree.clone(), tree);
    let left = Left { right: Right { left: Some(Box::default()) } };
    assert_eq!(left.right.left, Some(Box::new(Left::default())));
}

#[test]
fn a_structure_equals_its_copy_and_nothing_that_differs_in_a_member() {
    use recursion::types::Tree;
    let leaf =
        || names::types::Request { cli: Some("1".into()), r#type: Some(String::new()), ..Default::default() };
    assert_eq!(leaf().clone(), leaf());
    for other in [
        names::types::Request { cli: None, ..leaf() },
        names::types::Request { cli: Some("2".into()), ..leaf() },
        names::types::Request { cli_2: Some("1".into()), ..leaf() },
        names::types::Request { r#type: None, ..leaf() },
    ] {
        assert_ne!(other, leaf());
        assert_eq!(other.clone(), other);
    }
    let tree = |children| Tree { children, parent: Nillable::Absent };
    let deep = tree(vec![tree(vec![Tree::default()]), Tree::default()]);
    assert_eq!(deep.clone(), deep);
    assert_ne!(deep, tree(vec![tree(vec![]), Tree::default()]));
    assert_ne!(Tree { parent: Nillable::Nil, ..deep.clone() }, deep);
}

#[test]
fn what_two_definitions_define_alike_is_one_type() {
    let info: shared::account::Info = shared::product::Info { a: 1 };
    let other = shared::customer::Info { a: "1".into() };
    assert_eq!(text(&info, "a"), text(&other, "a"));
    let item: shared::customer::Item = shared::account::Item { name: "one".into() };
    assert_eq!(item.name, "one");
}

#[test]
fn a_header_has_the_name_and_namespace_of_its_element_or_part() {
    let service = header::SERVICES[0];
    let of = |operation: &str| {
        let header = service.operation(operation).expect("an operation").header()?;
        Some((header.name, header.namespace, header.shape.name))
    };
    assert_eq!(of("by_element"), Some(("auth_info", "urn:example", "AuthInfo")));
    assert_eq!(of("by_type"), Some(("auth_info", "urn:other", "AuthInfo")));
    assert_eq!(of("none"), None);
}

#[test]
fn secrets_are_not_shown_and_money_keeps_its_digits() {
    let response =
        settings::types::Response { password: Some("p".into()), pin: "1".into(), number: "2".into() };
    assert_eq!(
        format!("{response:?}"),
        r#"Response { password: "***", pin: "***", number: "2" }"#.replace("\"***\"", "***")
    );
    let method = settings::types::PaymentMethodInfo { number: "4111".into(), pin: "1".into() };
    assert_eq!(format!("{method:?}"), r#"PaymentMethodInfo { number: ***, pin: "1" }"#);
    let request =
        settings::types::Request { float: "12.10".parse().expect("a number"), ..Default::default() };
    assert_eq!(text(&request, "float"), "12.10");
}

#[test]
fn services_are_listed_by_their_short_names() {
    let names: Vec<_> = services::SERVICES.iter().map(|service| (service.name, service.wsdl_name)).collect();
    let expected =
        [("DID", "DIDAdminService"), ("Self", "Self"), ("Did", "DidService"), ("zz-alone", "zz-alone")];
    assert_eq!(names, expected);
    // the same operation under each, as a type of its own
    use soapstone_soap::Call as _;
    assert_eq!(services::did_2::CallCall::operation().service, "Did");
}
