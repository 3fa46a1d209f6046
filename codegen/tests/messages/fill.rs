//! Values for any structure, the same every time.

use std::borrow::Cow;

use soapstone_soap::{Any, Member, Place, Preset, Scalar, Shape, Slot, Structure, Type, Value, Xsd};

/// How a structure is filled in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill {
    /// How many structures deep what may be left out is there.
    depth: usize,
    /// Which of several alternatives is taken.
    turn: usize,
    /// How many structures deep it is by now.
    level: usize,
}

/// Deeper than this only what must be there is, however often it is inside of itself.
const DEEP: usize = 4;

impl Fill {
    /// Nothing that may be left out.
    pub(crate) const LEAST: Self = Self { depth: 0, turn: 0, level: 0 };

    /// Everything there is, some structures deep.
    pub(crate) const fn everything(turn: usize) -> Self {
        Self { depth: DEEP, turn, level: 0 }
    }

    /// What it is called in the names of files.
    pub(crate) fn name(self) -> String {
        if self.depth == 0 { "least".to_owned() } else { format!("all-{}", self.turn) }
    }

    fn deeper(self) -> Self {
        Self { depth: self.depth.saturating_sub(1), level: self.level + 1, ..self }
    }

    /// A choice is no depth of its own, until it is inside of itself.
    fn into(self, shape: &Shape) -> Self {
        if shape.choice && self.level <= DEEP {
            Self { level: self.level + 1, ..self }
        } else {
            self.deeper()
        }
    }

    fn next(self, turn: usize) -> Self {
        Self { turn: self.turn + turn, ..self }
    }

    /// Fills in a structure.
    pub(crate) fn structure(self, structure: &mut dyn Structure) {
        let shape = structure.shape();
        if !shape.choice && !shape.derived {
            for (index, member) in shape.members.iter().enumerate() {
                self.member(structure, index, member);
            }
            return;
        }
        let last = shape.members.len().max(1);
        // at the bottom an alternative that ends there
        let simple = || {
            let within = |levels| shape.members.iter().position(|member| ends(&member.ty, levels));
            (0..8).find_map(within)
        };
        let index = match self.depth {
            0 if self.level > DEEP => simple().unwrap_or(0),
            _ => self.turn % last,
        };
        if let Some(member) = shape.members.get(index) {
            let name = (member.name, shape.namespace_of(member));
            self.value(structure.member_mut(index), name, member, &member.ty);
        }
    }

    fn member(self, structure: &mut dyn Structure, index: usize, member: &Member) {
        let name = (member.name, structure.shape().namespace_of(member));
        let value = structure.member_mut(index);
        // `1st`, which SOAP::Lite sends all the same
        let impossible = member.name.starts_with(|first: char| first.is_ascii_digit());
        if member.optional && (impossible || self.depth == 0 && member.place != Place::Wildcard) {
            value.set_absent();
        } else if self.depth == 0 && member.nillable {
            value.set_nil();
        } else {
            self.value(value, name, member, &member.ty);
        }
    }

    /// `name`, with its namespace, is that of the element.
    fn value(self, value: &mut dyn Value, name: (&str, &str), member: &Member, ty: &Type) {
        match (value.open(), ty) {
            (Slot::Scalar(scalar), Type::Raw) => {
                let odd = "<o:odd xmlns=\"\" xmlns:o=\"urn:other\"><o:in>1</o:in></o:odd>";
                let text = match member.place {
                    Place::OtherAttributes => " xmlns:o=\"urn:other\" o:odd=\"a&amp;b\"".to_owned(),
                    Place::Wildcard => odd.to_owned(),
                    // of no type, but with a name
                    _ => format!("<{0} xmlns=\"{1}\">{odd}</{0}>", name.0, name.1),
                };
                scalar.read(Cow::Owned(text)).expect("text");
            }
            (Slot::Scalar(scalar), ty) => self.scalar(scalar, member, ty),
            (Slot::Structure(inner), _) => {
                self.into(inner.shape()).structure(inner);
            }
            (Slot::List(list), Type::Array(item) | Type::Repeated(item) | Type::List(item)) => {
                let count = match self.depth {
                    // the table doesn't say how many, and one is always right
                    _ if member.place == Place::Wildcard => 1,
                    0 => usize::from(!member.optional && !matches!(ty, Type::Array(_))),
                    _ => 2,
                };
                for index in 0..count {
                    self.next(index).value(list.push(), name, member, item);
                }
            }
            // the table doesn't say how many items, and one is always right
            (Slot::List(list), Type::Items(items) | Type::NamedArray(items)) if self.level < 3 * DEEP => {
                self.value(list.push(), (items.name, items.namespace), member, &items.ty);
            }
            (Slot::Any(any), _) => *any = Any::Text("anything".to_owned()),
            (Slot::List(_), _) => {}
        }
    }

    fn scalar(self, scalar: &mut dyn Scalar, member: &Member, ty: &Type) {
        let mut values = scalar.values().to_vec();
        if matches!(member.ty, Type::List(_)) {
            // between spaces nothing is nothing
            values.retain(|value| !value.is_empty());
        }
        let given = match member.preset {
            Some(Preset::Fixed(text)) => Some(text),
            _ => values.get(self.turn % values.len().max(1)).copied(),
        };
        let fits = |scalar: &mut dyn Scalar, text| scalar.read(Cow::Borrowed(text)).is_ok();
        if !given.is_some_and(|text| fits(scalar, text)) {
            let usual = sample(if let Type::Xsd(xsd) = ty { *xsd } else { scalar.xsd() });
            assert!(
                [usual, "7", "text"].into_iter().any(|text| fits(scalar, text)),
                "nothing fits {}, {:?}",
                member.name,
                scalar.xsd()
            );
        }
    }
}

/// Whether the least value of this type is no more than `levels` structures deep.
fn ends(ty: &Type, levels: usize) -> bool {
    let shape = match ty {
        Type::Structure(shape) => shape,
        Type::Repeated(item) => return ends(item, levels),
        _ => return true,
    };
    let inner = |member: &Member| levels > 0 && ends(&member.ty, levels - 1);
    if shape.choice || shape.derived {
        return shape.members.iter().any(inner);
    }
    shape.members.iter().filter(|member| !member.optional && !member.nillable).all(inner)
}

/// A text that most of the types that are read as `xsd` have.
fn sample(xsd: Xsd) -> &'static str {
    match xsd {
        Xsd::String | Xsd::NormalizedString | Xsd::Token => "text",
        Xsd::Name | Xsd::NcName | Xsd::Id | Xsd::IdRef | Xsd::Entity | Xsd::NmToken => "text",
        // one without a namespace can't be said where a namespace without a prefix is in force
        Xsd::QName => "{urn:example:names}text",
        Xsd::Notation => "text",
        Xsd::Language => "en",
        Xsd::NonPositiveInteger | Xsd::NegativeInteger => "-7",
        Xsd::Boolean => "true",
        Xsd::Decimal | Xsd::Float | Xsd::Double => "12.5",
        Xsd::Date => "2024-02-29",
        Xsd::DateTime => "2024-02-29T12:30:00Z",
        Xsd::Time => "12:30:00",
        Xsd::AnyUri => "urn:example:a",
        Xsd::Base64Binary => "aGk=",
        Xsd::HexBinary => "0AFF",
        Xsd::Duration => "P1DT2H",
        Xsd::GYear => "2024",
        Xsd::GYearMonth => "2024-02",
        Xsd::GMonth => "--02",
        Xsd::GMonthDay => "--02-29",
        Xsd::GDay => "---29",
        _ => "7",
    }
}
