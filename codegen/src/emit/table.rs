//! A structure's table, as the runtime reads it (`soapstone_soap`'s module `script` says what stands in it).

use std::collections::HashSet;

use super::facets::facet;
use super::structure::{Emitter, quoted};
use crate::resolve::{Kind, Member, Place, Preset, Structure, Type};

/// The static of a structure's table.
pub(super) fn item(emitter: &mut Emitter<'_>, index: usize, structure: &Structure) -> String {
    let elements: Vec<&Member> =
        structure.members.iter().filter(|member| member.place == Place::Element).collect();
    let elements_in = match structure.kind {
        Kind::Derived => "",
        _ => elements.first().map_or("", |member| &*member.namespace),
    };
    let mut table = Table { emitter, text: String::new(), shapes: Vec::new(), words: Vec::new() };
    table.head(structure, &elements, elements_in);
    for member in &structure.members {
        table.member(structure, member, elements_in);
    }
    let Table { text, shapes, words, .. } = table;
    let (_, name) = emitter.plan.own(index);
    let open = if emitter.config.has_open_tables() { "#[doc(hidden)]\npub" } else { "pub(super)" };
    let (wire, namespace) = (quoted(&structure.name.local), named(emitter, &structure.name.namespace));
    let (shapes, words) = (shapes.join(", "), words.join(", "));
    let checked = checked(emitter, structure);
    format!(
        "{open} static {name}: Shape = Shape::of({wire}, {namespace}, \"{text}\", &[{shapes}], &[{words}]){checked};\n"
    )
}

/// What is demanded of the members, where that was asked for.
fn checked(emitter: &mut Emitter<'_>, structure: &Structure) -> String {
    let members = structure.members.iter().enumerate();
    let demands: Vec<String> = members
        .filter(|(_, member)| emitter.config.has_facets() && !member.facets.is_empty())
        .map(|(index, member)| {
            let facets: Vec<String> = member.facets.iter().map(facet).collect();
            format!("    ({index}, &[{}]),\n", facets.join(", "))
        })
        .collect();
    if demands.is_empty() {
        return String::new();
    }
    emitter.uses.insert("Facet");
    format!(".checked(&[\n{}])", demands.concat())
}

/// A namespace, by its constant.
fn named(emitter: &mut Emitter<'_>, namespace: &str) -> String {
    if namespace.is_empty() {
        return "\"\"".to_owned();
    }
    super::namespaces::constant(emitter.namespaces, namespace)
}

struct Table<'a, 'b> {
    emitter: &'a mut Emitter<'b>,
    text: String,
    shapes: Vec<String>,
    /// As expressions.
    words: Vec<String>,
}

impl Table<'_, '_> {
    fn head(&mut self, structure: &Structure, elements: &[&Member], elements_in: &str) {
        let mut marks = Vec::new();
        if !elements_in.is_empty() {
            marks.push(if elements_in == &*structure.name.namespace {
                "qualified".to_owned()
            } else {
                format!("in={}", self.namespace(elements_in))
            });
        }
        match structure.kind {
            Kind::Choice { .. } => marks.push("choice".to_owned()),
            Kind::Derived => marks.push("derived".to_owned()),
            _ => {}
        }
        let mut names = HashSet::new();
        if structure.kind != Kind::Derived && !elements.iter().all(|member| names.insert(&member.name)) {
            marks.push("apart".to_owned());
        }
        // of a choice of types it says no more than the table
        if !structure.documentation.is_empty() && structure.kind != Kind::Derived {
            marks.push(format!("doc={}", self.literal(&structure.documentation)));
        }
        self.text += &marks.join(" ");
        self.text.push('\n');
    }

    fn member(&mut self, structure: &Structure, member: &Member, elements_in: &str) {
        let mut line = format!("    {} {}", member.name, self.ty(&member.ty));
        let mut mark = |mark: &str| {
            line.push(' ');
            line += mark;
        };
        match member.place {
            Place::Element => {}
            Place::Inline => mark("inline"),
            Place::Wildcard => mark("wildcard"),
            Place::Text => mark("text"),
            Place::Attribute => mark("attribute"),
            Place::OtherAttributes => mark("others"),
        }
        let usual = if member.place == Place::Element { elements_in } else { "" };
        if &*member.namespace != usual && structure.kind != Kind::Derived {
            mark(&format!("ns={}", self.namespace(&member.namespace)));
        }
        match &member.preset {
            Some(Preset::Default(value)) => mark(&format!("default={}", self.literal(value))),
            Some(Preset::Fixed(value)) => mark(&format!("fixed={}", self.literal(value))),
            None => {}
        }
        if member.optional {
            mark("?");
        }
        if member.nillable {
            mark("nil");
        }
        if self.emitter.config.is_secret(&structure.name.local, &member.name) {
            mark("secret");
        }
        if !member.documentation.is_empty() {
            mark(&format!("doc={}", self.literal(&member.documentation)));
        }
        self.text += &line;
        self.text.push('\n');
    }

    /// Always the definition's own type.
    fn ty(&mut self, ty: &Type) -> String {
        match ty {
            Type::Simple(simple) => simple.name().to_owned(),
            Type::Enumeration(_) => "string".to_owned(),
            Type::Structure(index) => {
                let (home, table) = self.emitter.plan.table_path(*index, self.emitter.module);
                format!("#{}", number(&mut self.shapes, format!("&{home}{table}")))
            }
            Type::Repeated(item) => format!("*{}", self.ty(item)),
            Type::Array(item) => format!("array:{}", self.ty(item)),
            Type::List(item) => format!("list:{}", self.ty(item)),
            Type::Items(name, namespace, item) | Type::NamedArray(name, namespace, item) => {
                let kind = if matches!(ty, Type::Items(..)) { "items" } else { "named" };
                let (name, namespace) = (self.literal(name), self.namespace(namespace));
                format!("{kind}:{name}:{namespace}:{}", self.ty(item))
            }
            Type::Raw => "raw".to_owned(),
            Type::Any => "any".to_owned(),
        }
    }

    fn literal(&mut self, text: &str) -> usize {
        number(&mut self.words, quoted(text))
    }

    fn namespace(&mut self, namespace: &str) -> usize {
        let expression = named(self.emitter, namespace);
        number(&mut self.words, expression)
    }
}

/// Where a list has something, or where it has it now.
fn number(list: &mut Vec<String>, wanted: String) -> usize {
    list.iter().position(|known| *known == wanted).unwrap_or_else(|| {
        list.push(wanted);
        list.len() - 1
    })
}
