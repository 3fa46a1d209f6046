//! `get_extended_data_list`, and any JSON call of which no definition is known.
//!
//! The method is in the list of PortaBilling's JSON API and nowhere else; its parameters aren't documented publicly, so the
//! criteria are the caller's own.

use serde_json::{Map, Value};
use soapstone_soap::{Structure, fill_json};

use super::attempts::Needs;
use super::exchange::read_answer;
use super::{Client, Error};

/// What an extended list is asked for: any JSON object.
pub type Criteria = Map<String, Value>;

/// What an extended list has found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// The rows as they came.
    pub rows: Vec<Value>,
    /// How many there are in all, where the answer says so.
    pub total: Option<i64>,
}

impl Rows {
    /// The rows as structures that are known, such as `AccountInfo`; members that those don't have are left out.
    ///
    /// # Errors
    /// Values that can't be of their member's type.
    pub fn typed<T: Structure + Default>(&self) -> Result<Vec<T>, serde_json::Error> {
        let read = |row: &Value| {
            let mut structure = T::default();
            fill_json(&mut structure, row)?;
            Ok(structure)
        };
        self.rows.iter().map(read).collect()
    }

    /// The one list in the answer, whatever it is called.
    fn from_answer(answer: Value) -> Self {
        let Value::Object(mut answer) = answer else { return Self::default() };
        let total = answer.get("total").and_then(|total| match total {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        });
        let list = answer.values_mut().find_map(|value| value.as_array_mut().map(std::mem::take));
        Self { rows: list.unwrap_or_default(), total }
    }
}

impl Client {
    /// Lists customers, accounts, products, customer classes or invoices by free criteria, over JSON: `service` is `Account`,
    /// `Customer` or the like.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn extended_data_list(
        &self,
        service: &'static str,
        criteria: &Criteria,
    ) -> Result<Rows, Error> {
        let params = Value::Object(criteria.clone());
        Ok(Rows::from_answer(self.call_json(service, "get_extended_data_list", &params).await?))
    }

    /// Calls any method over JSON, known here or not.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call_json(
        &self,
        service: &'static str,
        method: &'static str,
        params: &Value,
    ) -> Result<Value, Error> {
        // no parameters are an object, never a list
        let params = if params.is_null() { "{}".to_string() } else { params.to_string() };
        let params = params.as_str();
        let asked = self.attempt(Needs::Proof, super::only_reads(method), |turn| async move {
            let answer = self.json(&turn.site, service, method, &turn.proof, params).await?;
            read_answer(&answer, |body| serde_json::from_slice(body))
        });
        self.reported(service, method, asked).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::types::AccountInfo;

    #[test]
    fn the_rows_are_found_and_read_as_what_they_are() {
        let answer = json!({ "success": 1, "account_list": [{ "i_account": "7", "new": 1 }], "total": "12" });
        let rows = Rows::from_answer(answer);
        assert_eq!(rows.total, Some(12));
        assert_eq!(rows.typed::<AccountInfo>().expect("accounts")[0].i_account, Some(7));
        assert_eq!(Rows::from_answer(json!([])), Rows::default());
        let wrong = Rows { rows: vec![json!({ "i_account": "x" })], total: None };
        assert!(wrong.typed::<AccountInfo>().is_err());
    }
}
