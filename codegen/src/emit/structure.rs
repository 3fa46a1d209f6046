//! A structure: the struct, its table, and the two ways from the table to the struct's members.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::facets::described;
use super::plan::{Module, Plan};
use super::{Uses, WIDTH, documentation, item, table, wrapped};
use crate::config::Config;
use crate::error::Error;
use crate::names::{self, identifier};
use crate::resolve::{Kind, Member, Model, Simple, Structure, Text, Type};

/// All structures that stand in `module`.
pub(super) fn items(
    model: &Model,
    config: &Config,
    plan: &Plan,
    module: Module,
    uses: &mut Uses,
    namespaces: &mut Vec<String>,
) -> Result<Vec<String>, Error> {
    let mut items = Vec::new();
    let mut names = Vec::new();
    let mut enumerations = String::new();
    let (mut members, mut choices) = (String::new(), String::new());
    for index in plan.structures_in(module) {
        let structure = &model.structures[index];
        if let Kind::Enumeration(values) = &structure.kind {
            enumeration(config, plan, index, structure, values, &mut enumerations);
            continue;
        }
        let mut emitter = Emitter { config, plan, module, uses, namespaces };
        let fields = emitter.structure(index, structure, &mut items)?;
        match structure.kind {
            Kind::Structure => members += &emitter.access(index, &fields),
            _ => choices += &emitter.chosen(index, structure, &fields),
        }
        names.push(plan.own(index).0.to_string());
    }
    if !enumerations.is_empty() {
        items.push(format!("::soapstone_soap::enumerations! {{\n{enumerations}}}\n"));
    }
    for (name, list) in [("members", members), ("choices", choices)] {
        if !list.is_empty() {
            items.push(format!("::soapstone_soap::{name}! {{\n{list}}}\n"));
        }
    }
    if !names.is_empty() {
        let list = wrapped(&names.join(" "), "    ");
        items.push(format!("::soapstone_soap::structures! {{\n{list}}}\n"));
        if config.has_json() {
            items.push(format!("::soapstone_soap::json_faces! {{\n{list}}}\n"));
        }
    }
    Ok(items)
}

/// A doc comment.
pub(super) fn documented(text: &str) -> TokenStream {
    let lines = documentation::lines(text).into_iter().map(|line| format!(" {line}"));
    quote! { #( #[doc = #lines] )* }
}

/// One enumeration, as the runtime's macro takes it.
fn enumeration(
    config: &Config,
    plan: &Plan,
    index: usize,
    structure: &Structure,
    values: &[Text],
    out: &mut String,
) {
    let comment = |text: &str, indent: &str, out: &mut String| {
        for line in documentation::lines(text) {
            *out += format!("{indent}/// {line}").trim_end();
            out.push('\n');
        }
    };
    if !out.is_empty() {
        out.push('\n');
    }
    comment(&structure.documentation, "    ", out);
    for attribute in config.settings.type_attributes(structure) {
        *out += &format!("    {attribute}\n");
    }
    *out += &format!("    pub enum {} {{\n", plan.own(index).0);
    let variants = names::variants(values.iter().map(|value| value.text.as_str()), &["Other"]);
    for (value, variant) in values.iter().zip(variants) {
        comment(&value.documentation, "        ", out);
        *out += &format!("        {} = {:?},\n", identifier(&variant), value.text);
    }
    *out += "    }\n";
}

pub(super) struct Emitter<'a> {
    pub(super) config: &'a Config,
    pub(super) plan: &'a Plan,
    pub(super) module: Module,
    pub(super) uses: &'a mut Uses,
    /// Of the module's constants `NS`, `NS_2`, …
    pub(super) namespaces: &'a mut Vec<String>,
}

impl Emitter<'_> {
    fn structure(
        &mut self,
        index: usize,
        structure: &Structure,
        items: &mut Vec<String>,
    ) -> Result<Vec<String>, Error> {
        self.uses.insert("Shape");
        let names = structure.members.iter().map(|member| member.name.as_str());
        let wanted: Vec<Option<&str>> =
            names.clone().map(|name| self.config.settings.field_name(structure, name)).collect();
        if structure.kind == Kind::Structure {
            let fields = names::renamed(names::fields(names), &wanted);
            items.push(self.declaration(index, structure, &fields)?);
            items.push(table::item(self, index, structure));
            Ok(fields)
        } else {
            let variants = names::renamed(names::variants(names, &[]), &wanted);
            items.push(self.choice(index, structure, &variants)?);
            items.push(table::item(self, index, structure));
            Ok(variants)
        }
    }

    fn choice(&mut self, index: usize, structure: &Structure, variants: &[String]) -> Result<String, Error> {
        let (name, _) = self.plan.own(index);
        let documentation = documented(&structure.documentation);
        let mut members = TokenStream::new();
        for (member, variant) in structure.members.iter().zip(variants) {
            let documentation = documented(&described(member));
            let variant = identifier(variant);
            let ty = self.field_type(&Member { optional: member.nillable, ..member.clone() });
            let attributes = attributes(self.config.settings.field_attributes(structure, &member.name));
            members.extend(quote! { #documentation #attributes #variant(#ty), });
        }
        let attributes = attributes(self.config.settings.type_attributes(structure));
        item(quote! {
            #documentation
            #attributes
            #[derive(Clone, PartialEq)]
            pub enum #name { #members }
        })
    }

    fn chosen(&mut self, index: usize, structure: &Structure, variants: &[String]) -> String {
        let (name, table) = self.plan.own(index);
        let start = match structure.kind {
            Kind::Choice { default } => default,
            _ => 0,
        };
        let start = variants.get(start).map(|variant| identifier(variant).to_string()).unwrap_or_default();
        numbered(&format!("{name} {table} start {start}"), variants)
    }

    fn declaration(
        &mut self,
        index: usize,
        structure: &Structure,
        fields: &[String],
    ) -> Result<String, Error> {
        let (name, _) = self.plan.own(index);
        let documentation = documented(&structure.documentation);
        let mut members = TokenStream::new();
        for (member, field) in structure.members.iter().zip(fields) {
            let documentation = documented(&described(member));
            let field = identifier(field);
            let ty = self.field_type(member);
            let attributes = attributes(self.config.settings.field_attributes(structure, &member.name));
            members.extend(quote! { #documentation #attributes pub #field: #ty, });
        }
        let attributes = attributes(self.config.settings.type_attributes(structure));
        item(quote! {
            #documentation
            #attributes
            #[derive(Default)]
            pub struct #name { #members }
        })
    }

    fn access(&mut self, index: usize, fields: &[String]) -> String {
        let (name, table) = self.plan.own(index);
        numbered(&format!("{name} {table}"), fields)
    }

    /// A list is never optional: an empty one is none. Nil and absent differ only where both may be.
    fn field_type(&mut self, member: &Member) -> TokenStream {
        let mut ty = self.value_type(&member.ty, member.far);
        if member.boxed && !member.far {
            ty = quote! { Box<#ty> };
        }
        let both = member.optional && member.nillable;
        match &member.ty {
            Type::Array(_) | Type::NamedArray(..) | Type::Repeated(_) | Type::List(_) | Type::Items(..) => ty,
            // it has a nil of its own
            Type::Any if member.optional => quote! { Option<#ty> },
            Type::Any => ty,
            _ if both => {
                self.uses.insert("Nillable");
                quote! { Nillable<#ty> }
            }
            _ if member.optional || member.nillable => quote! { Option<#ty> },
            _ => ty,
        }
    }

    /// `far` for a structure that the compiler isn't to look into.
    fn value_type(&mut self, ty: &Type, far: bool) -> TokenStream {
        match ty {
            Type::Simple(simple) => self.simple_type(*simple),
            Type::Structure(index) if far => {
                let structure = self.plan.ty(*index, self.module);
                quote! { ::soapstone_soap::Far<#structure> }
            }
            Type::Structure(index) | Type::Enumeration(index) => self.plan.ty(*index, self.module),
            Type::Raw => self.runtime("Raw"),
            Type::Array(item)
            | Type::NamedArray(_, _, item)
            | Type::Repeated(item)
            | Type::List(item)
            | Type::Items(_, _, item) => {
                let item = self.value_type(item, far);
                quote! { Vec<#item> }
            }
            Type::Any => self.runtime("Any"),
        }
    }

    fn simple_type(&mut self, simple: Simple) -> TokenStream {
        let wide = self.config.has_wide_integers();
        let big = self.config.has_big_integers();
        let exact = self.config.has_exact_floats();
        match simple {
            Simple::QName => quote! { ::soapstone_soap::QName },
            text if text.is_text() => quote! { String },
            Simple::Byte | Simple::Short | Simple::Int if wide => quote! { i64 },
            Simple::UnsignedByte | Simple::UnsignedShort | Simple::UnsignedInt if wide => quote! { u64 },
            Simple::Integer | Simple::NonPositiveInteger | Simple::NegativeInteger if big => quote! { i128 },
            Simple::NonNegativeInteger | Simple::PositiveInteger if big => quote! { u128 },
            Simple::Float | Simple::Double if exact => self.runtime("Decimal"),
            Simple::Boolean => quote! { bool },
            Simple::Byte => quote! { i8 },
            Simple::Short => quote! { i16 },
            Simple::Int => quote! { i32 },
            Simple::Long | Simple::Integer | Simple::NonPositiveInteger | Simple::NegativeInteger => {
                quote! { i64 }
            }
            Simple::UnsignedByte => quote! { u8 },
            Simple::UnsignedShort => quote! { u16 },
            Simple::UnsignedInt => quote! { u32 },
            Simple::UnsignedLong | Simple::NonNegativeInteger | Simple::PositiveInteger => quote! { u64 },
            Simple::Float => quote! { f32 },
            Simple::Double => quote! { f64 },
            Simple::Decimal => self.runtime("Decimal"),
            Simple::Duration => quote! { ::soapstone_soap::Duration },
            Simple::DateTime => self.runtime("DateTime"),
            Simple::Date => self.runtime("Date"),
            Simple::Time => quote! { ::soapstone_soap::Time },
            Simple::GYear => quote! { ::soapstone_soap::GYear },
            Simple::GYearMonth => quote! { ::soapstone_soap::GYearMonth },
            Simple::GMonth => quote! { ::soapstone_soap::GMonth },
            Simple::GMonthDay => quote! { ::soapstone_soap::GMonthDay },
            Simple::GDay => quote! { ::soapstone_soap::GDay },
            Simple::Base64Binary => self.runtime("Base64"),
            Simple::HexBinary => quote! { ::soapstone_soap::Hex },
            _ => quote! { String },
        }
    }

    /// A name of the runtime's.
    fn runtime(&mut self, name: &'static str) -> TokenStream {
        self.uses.insert(name);
        let name = identifier(name);
        quote! { #name }
    }
}

/// A structure's names by their numbers, in a line where they have room.
fn numbered(of: &str, names: &[String]) -> String {
    let list: Vec<String> =
        names.iter().enumerate().map(|(index, name)| format!("{index} {},", identifier(name))).collect();
    let list = list.join(" ");
    let line = format!("    {of} {{ {list} }}\n");
    match list.as_str() {
        "" => format!("    {of} {{}}\n"),
        _ if line.len() <= WIDTH => line,
        _ => format!("    {of} {{\n{}    }}\n", wrapped(&list, "        ")),
    }
}

/// Attributes that were given, and looked at before.
fn attributes<'s>(attributes: impl Iterator<Item = &'s str>) -> TokenStream {
    attributes.filter_map(|attribute| attribute.parse::<TokenStream>().ok()).collect()
}

/// A string literal.
pub(super) fn quoted(text: &str) -> String {
    Literal::string(text).to_string()
}
