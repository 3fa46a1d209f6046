//! A structure: the struct, its table, and the two ways from the table to the struct's members.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::plan::{Module, Plan};
use super::{Uses, documentation, item, wrapped};
use crate::config::Config;
use crate::error::Error;
use crate::names::{self, identifier};
use crate::resolve::{Member, Model, Simple, Structure, Type};

/// All structures that stand in `module`.
pub(super) fn items(
    model: &Model,
    config: &Config,
    plan: &Plan,
    module: Module,
    uses: &mut Uses,
) -> Result<Vec<String>, Error> {
    let mut items = Vec::new();
    let mut names = Vec::new();
    for index in plan.structures_in(module) {
        let mut emitter = Emitter { config, plan, module, uses };
        emitter.structure(index, &model.structures[index], &mut items)?;
        names.push(plan.own(index).0.to_string());
    }
    if !names.is_empty() {
        let list = wrapped(&names.join(" "), "    ");
        items.push(format!("::soapstone_soap::structures! {{\n{list}}}\n"));
    }
    Ok(items)
}

/// A doc comment.
pub(super) fn documented(text: &str) -> TokenStream {
    let lines = documentation::lines(text).into_iter().map(|line| format!(" {line}"));
    quote! { #( #[doc = #lines] )* }
}

struct Emitter<'a> {
    config: &'a Config,
    plan: &'a Plan,
    module: Module,
    uses: &'a mut Uses,
}

impl Emitter<'_> {
    fn structure(
        &mut self,
        index: usize,
        structure: &Structure,
        items: &mut Vec<String>,
    ) -> Result<(), Error> {
        self.uses.extend(["Shape", "Structure", "Value"]);
        let fields = names::fields(structure.members.iter().map(|member| member.name.as_str()));
        items.push(self.declaration(index, structure, &fields)?);
        items.push(self.table(index, structure)?);
        items.push(self.access(index, &fields)?);
        Ok(())
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
            let documentation = documented(&member.documentation);
            let field = identifier(field);
            let ty = self.field_type(member);
            members.extend(quote! { #documentation pub #field: #ty, });
        }
        item(quote! {
            #documentation
            #[derive(Clone, Default, PartialEq)]
            pub struct #name { #members }
        })
    }

    fn table(&mut self, index: usize, structure: &Structure) -> Result<String, Error> {
        let (_, table) = self.plan.own(index);
        let name = &*structure.name.local;
        let namespace = &*structure.name.namespace;
        let documentation = documented_call(&structure.documentation);
        let members: Vec<_> =
            structure.members.iter().map(|member| self.table_entry(structure, member)).collect();
        item(quote! {
            pub(super) static #table: Shape = Shape::new(#name, #namespace, &[ #(#members),* ]) #documentation;
        })
    }

    fn table_entry(&mut self, structure: &Structure, member: &Member) -> TokenStream {
        self.uses.extend(["Member", "Type"]);
        let name = &member.name;
        let ty = self.table_type(&member.ty);
        let mut calls = TokenStream::new();
        if member.optional {
            calls.extend(quote! { .optional() });
        }
        if member.nillable {
            calls.extend(quote! { .nillable() });
        }
        if self.config.is_secret(&structure.name.local, name) {
            calls.extend(quote! { .secret() });
        }
        let documentation = documented_call(&member.documentation);
        quote! { Member::new(#name, #ty) #calls #documentation }
    }

    fn access(&mut self, index: usize, fields: &[String]) -> Result<String, Error> {
        let (name, table) = self.plan.own(index);
        let none = quote! { ::soapstone_soap::no_member(&#table, index) };
        let (mut get, mut get_mut) = (none.clone(), none.clone());
        if !fields.is_empty() {
            let numbers: Vec<_> = (0..fields.len()).map(Literal::usize_unsuffixed).collect();
            let fields: Vec<_> = fields.iter().map(|field| identifier(field)).collect();
            get = quote! { match index { #( #numbers => &self.#fields, )* _ => #none } };
            get_mut = quote! { match index { #( #numbers => &mut self.#fields, )* _ => #none } };
        }
        item(quote! {
            impl Structure for #name {
                fn shape(&self) -> &'static Shape { &#table }
                fn member(&self, index: usize) -> &dyn Value { #get }
                fn member_mut(&mut self, index: usize) -> &mut dyn Value { #get_mut }
            }
        })
    }

    /// A list is never optional: an empty one is none. Nil and absent differ only where both may be.
    fn field_type(&mut self, member: &Member) -> TokenStream {
        let mut ty = self.value_type(&member.ty);
        if member.boxed {
            ty = quote! { Box<#ty> };
        }
        let both = member.optional && member.nillable;
        match &member.ty {
            Type::Array(_) | Type::Repeated(_) => ty,
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

    fn value_type(&mut self, ty: &Type) -> TokenStream {
        match ty {
            Type::Simple(simple) => self.simple_type(*simple),
            Type::Structure(index) => self.plan.ty(*index, self.module),
            Type::Array(item) | Type::Repeated(item) => {
                let item = self.value_type(item);
                quote! { Vec<#item> }
            }
            Type::Any => self.runtime("Any"),
        }
    }

    fn simple_type(&mut self, simple: Simple) -> TokenStream {
        let wide = self.config.has_wide_integers();
        let exact = self.config.has_exact_floats();
        match simple {
            Simple::String | Simple::AnyUri | Simple::Time => quote! { String },
            Simple::Boolean => quote! { bool },
            Simple::Byte | Simple::Short | Simple::Int if wide => quote! { i64 },
            Simple::UnsignedInt if wide => quote! { u64 },
            Simple::Byte => quote! { i8 },
            Simple::Short => quote! { i16 },
            Simple::Int => quote! { i32 },
            Simple::Long | Simple::Integer => quote! { i64 },
            Simple::UnsignedInt => quote! { u32 },
            Simple::UnsignedLong => quote! { u64 },
            Simple::Float | Simple::Double if exact => self.runtime("Decimal"),
            Simple::Float => quote! { f32 },
            Simple::Double => quote! { f64 },
            Simple::Decimal => self.runtime("Decimal"),
            Simple::Date => self.runtime("Date"),
            Simple::DateTime => self.runtime("DateTime"),
            Simple::Base64Binary => self.runtime("Base64"),
        }
    }

    /// A name of the runtime's.
    fn runtime(&mut self, name: &'static str) -> TokenStream {
        self.uses.insert(name);
        let name = identifier(name);
        quote! { #name }
    }

    /// What the table says: always the definition's own type.
    fn table_type(&mut self, ty: &Type) -> TokenStream {
        match ty {
            Type::Simple(simple) => {
                self.uses.insert("Xsd");
                let name = identifier(&format!("{simple:?}"));
                quote! { Type::Xsd(Xsd::#name) }
            }
            Type::Structure(index) => {
                let table = self.plan.table(*index, self.module);
                quote! { Type::Structure(&#table) }
            }
            Type::Array(item) => {
                let item = self.table_type(item);
                quote! { Type::Array(&#item) }
            }
            Type::Repeated(item) => {
                let item = self.table_type(item);
                quote! { Type::Repeated(&#item) }
            }
            Type::Any => quote! { Type::Any },
        }
    }
}

fn documented_call(text: &str) -> TokenStream {
    if text.is_empty() {
        TokenStream::new()
    } else {
        quote! { .documented(#text) }
    }
}
