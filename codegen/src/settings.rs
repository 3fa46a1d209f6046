//! What a program wants otherwise than generated: other names, attributes, and types that are there already.

use std::collections::HashSet;
use std::path::PathBuf;
use std::str::FromStr;

use proc_macro2::TokenStream;

use crate::config::Config;
use crate::diagnostic::{Diagnostic, Severity};
use crate::names;
use crate::resolve::{Model, Structure};

/// The wishes, in the order in which they were said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    about: About,
    /// As in the definition: `TYPE`, `TYPE.MEMBER`, `OPERATION` or `SERVICE.OPERATION`, a namespace.
    name: String,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    TypeAttribute,
    FieldAttribute,
    TypeName,
    FieldName,
    OperationName,
    ExternType,
    ExternNamespace,
}

impl About {
    /// The setting's own name.
    fn setting(self) -> &'static str {
        match self {
            About::TypeAttribute => "type_attribute",
            About::FieldAttribute => "field_attribute",
            About::TypeName => "rename_type",
            About::FieldName => "rename_field",
            About::OperationName => "rename_operation",
            About::ExternType => "extern_type",
            About::ExternNamespace => "extern_namespace",
        }
    }
}

/// Names are those of the definition; of types that several namespaces have, `{NAMESPACE}TYPE` is one. A name that
/// the definitions don't have is a warning.
impl Config {
    /// Puts an attribute on a type: a structure, a choice or an enumeration. `*` is every type.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.type_attribute("Color", "#[derive(PartialOrd, Ord)]");
    /// config.type_attribute("*", "#[cfg_attr(feature = \"docs\", doc = \"From the billing system.\")]");
    /// ```
    pub fn type_attribute(&mut self, name: impl Into<String>, attribute: impl Into<String>) -> &mut Self {
        self.rule(About::TypeAttribute, name, attribute)
    }

    /// Puts an attribute on a field of a structure or an alternative of a choice, `TYPE.MEMBER`.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.field_attribute("AccountInfo.balance", "#[deprecated = \"use the counters\"]");
    /// ```
    pub fn field_attribute(&mut self, name: impl Into<String>, attribute: impl Into<String>) -> &mut Self {
        self.rule(About::FieldAttribute, name, attribute)
    }

    /// Calls a type otherwise in Rust; on the wire it stays what it is.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.rename_type("tAccInfo_v2", "AccountInfo");
    /// ```
    pub fn rename_type(&mut self, name: impl Into<String>, rust: impl Into<String>) -> &mut Self {
        self.rule(About::TypeName, name, rust)
    }

    /// Calls a field or the alternative of a choice, `TYPE.MEMBER`, otherwise in Rust; on the wire it stays what it is.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.rename_field("AccountInfo.i_acct", "account_id");
    /// ```
    pub fn rename_field(&mut self, name: impl Into<String>, rust: impl Into<String>) -> &mut Self {
        self.rule(About::FieldName, name, rust)
    }

    /// Calls an operation's type otherwise, and so the client's method; `OPERATION`, or `SERVICE.OPERATION` for the one
    /// of one service.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.rename_operation("AccountAdminService.get_account_info", "Account");
    /// ```
    pub fn rename_operation(&mut self, name: impl Into<String>, rust: impl Into<String>) -> &mut Self {
        self.rule(About::OperationName, name, rust)
    }

    /// Takes a type from elsewhere instead of generating it: one that was generated with [`Config::open_tables`], since
    /// its table is named beside it.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.extern_type("AccountInfo", "::portabilling::types::AccountInfo");
    /// ```
    pub fn extern_type(&mut self, name: impl Into<String>, path: impl Into<String>) -> &mut Self {
        self.rule(About::ExternType, name, path)
    }

    /// The same for all types of a namespace, by the module that has them.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.extern_namespace("http://www.w3.org/2005/08/addressing", "::addressing::types");
    /// ```
    pub fn extern_namespace(&mut self, namespace: impl Into<String>, module: impl Into<String>) -> &mut Self {
        self.rule(About::ExternNamespace, namespace, module)
    }

    fn rule(&mut self, about: About, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.settings.rules.push(Rule { about, name: name.into(), value: value.into() });
        self
    }
}

impl Settings {
    pub(crate) fn type_attributes(&self, structure: &Structure) -> impl Iterator<Item = &str> {
        let fits = |rule: &&Rule| rule.name == "*" || is_type(&rule.name, structure);
        self.about(About::TypeAttribute).filter(fits).map(|rule| rule.value.as_str())
    }

    pub(crate) fn field_attributes(&self, structure: &Structure, member: &str) -> impl Iterator<Item = &str> {
        let fits = move |rule: &&Rule| is_member(&rule.name, structure, member);
        self.about(About::FieldAttribute).filter(fits).map(|rule| rule.value.as_str())
    }

    pub(crate) fn type_name(&self, structure: &Structure) -> Option<&str> {
        self.about(About::TypeName)
            .find(|rule| is_type(&rule.name, structure))
            .map(|rule| rule.value.as_str())
    }

    pub(crate) fn field_name(&self, structure: &Structure, member: &str) -> Option<&str> {
        let fits = |rule: &&Rule| is_member(&rule.name, structure, member);
        self.about(About::FieldName).find(fits).map(|rule| rule.value.as_str())
    }

    pub(crate) fn operation_name(&self, service: &str, operation: &str) -> Option<&str> {
        let fits = |rule: &&Rule| is_operation(&rule.name, service, operation);
        self.about(About::OperationName).find(fits).map(|rule| rule.value.as_str())
    }

    /// Where a type is there already: its path, and that of its table.
    pub(crate) fn elsewhere(&self, structure: &Structure) -> Option<(String, String)> {
        let own = self.about(About::ExternType).find(|rule| is_type(&rule.name, structure));
        let path = own.map(|rule| rule.value.clone()).or_else(|| {
            let of_namespace = |rule: &&Rule| *rule.name == *structure.name.namespace;
            let module = self.about(About::ExternNamespace).find(of_namespace)?;
            Some(format!("{}::{}", module.value, names::type_name(&structure.name.local)))
        })?;
        let (module, name) = path.rsplit_once("::").unwrap_or(("self", &path));
        let table = format!("{module}::{}", names::shout(name));
        Some((path, table))
    }

    fn about(&self, about: About) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.about == about && is_right(about, &rule.value))
    }

    /// What is said about names that aren't there, and about values that are no Rust.
    pub(crate) fn problems(&self, model: &Model) -> Vec<Diagnostic> {
        let problem = |rule: &Rule| {
            let (setting, name, value) = (rule.about.setting(), &rule.name, &rule.value);
            if !is_right(rule.about, value) {
                let what = format!("`{setting}` of `{name}`: `{value}` isn't right there in Rust");
                return Some((what, "write it as it is to stand there".to_owned()));
            }
            let known = known(rule.about, model);
            if name == "*" || known.contains(name) {
                return None;
            }
            let near = known.iter().map(|known| (strsim::damerau_levenshtein(known, name), known)).min();
            let advice = match near.filter(|(distance, _)| *distance <= name.len() / 3) {
                Some((_, near)) => format!("did you mean `{near}`?"),
                None => "names are written as in the definition".to_owned(),
            };
            Some((format!("`{setting}` names `{name}`, which the definitions don't have"), advice))
        };
        let said = self.rules.iter().filter_map(problem);
        said.map(|(message, advice)| warning(message, advice)).collect()
    }
}

/// A problem of the settings, which stand in no file that is read.
pub(crate) fn warning(message: String, advice: String) -> Diagnostic {
    let file = PathBuf::from("the settings");
    Diagnostic { severity: Severity::Warning, file, position: None, message, advice }
}

fn in_namespace(structure: &Structure) -> String {
    format!("{{{}}}{}", structure.name.namespace, structure.name.local)
}

fn is_type(name: &str, structure: &Structure) -> bool {
    name == &*structure.name.local || (name.starts_with('{') && name == in_namespace(structure))
}

fn is_member(name: &str, structure: &Structure, member: &str) -> bool {
    let of_type = name.strip_suffix(member).and_then(|rest| rest.strip_suffix('.'));
    of_type.is_some_and(|ty| is_type(ty, structure))
}

fn is_operation(name: &str, service: &str, operation: &str) -> bool {
    name == operation || name.strip_suffix(operation).and_then(|rest| rest.strip_suffix('.')) == Some(service)
}

/// Whether Rust takes a value where it is to stand.
fn is_right(about: About, value: &str) -> bool {
    let Ok(tokens) = TokenStream::from_str(value) else { return false };
    match about {
        About::TypeAttribute | About::FieldAttribute => {
            let item: TokenStream = quote::quote! { #tokens struct Item; };
            !tokens.is_empty() && syn::parse2::<syn::ItemStruct>(item).is_ok()
        }
        About::ExternType | About::ExternNamespace => syn::parse2::<syn::Path>(tokens).is_ok(),
        About::TypeName | About::FieldName | About::OperationName => {
            syn::parse2::<syn::Ident>(tokens).is_ok()
        }
    }
}

/// All names that a setting may have.
fn known(about: About, model: &Model) -> HashSet<String> {
    let types = model.structures.iter();
    match about {
        About::TypeAttribute | About::TypeName | About::ExternType => {
            types.flat_map(|it| [it.name.local.to_string(), in_namespace(it)]).collect()
        }
        About::ExternNamespace => types.map(|it| it.name.namespace.to_string()).collect(),
        About::FieldAttribute | About::FieldName => types
            .flat_map(|it| {
                let of = |ty: String| it.members.iter().map(move |member| format!("{ty}.{}", member.name));
                of(it.name.local.to_string()).chain(of(in_namespace(it)))
            })
            .collect(),
        About::OperationName => model
            .services
            .iter()
            .flat_map(|service| {
                let names = service.operations.iter().map(|operation| operation.name.clone());
                names.flat_map(|name| [format!("{}.{name}", service.name), name])
            })
            .collect(),
    }
}
