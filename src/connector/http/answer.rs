//! What an external system answered, and what that means for the delivery.

use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Response;
use serde_json::{Map, Value};

use super::cut;
use crate::config::CallbackSettings;
use crate::delivery::{Failure, Outcome};

/// The longest part of an answer that becomes part of a reason.
const REASON: usize = 500;

/// An answer, as far as it was read.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
    body: String,
}

impl Answer {
    /// Reads at most `limit` bytes of the body. Whether the rest comes, and whether it can be read, doesn't matter: the
    /// status has said what there is to know.
    pub(super) async fn read(mut response: Response, limit: usize) -> Self {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = chunk.len().min(limit - body.len());
            body.extend_from_slice(&chunk[..room]);
            if body.len() == limit {
                break;
            }
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Self {
            status: response.status(),
            retry_after: retry_after.map(str::to_owned),
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// For the operator.
    pub(super) fn text(&self) -> String {
        format!("HTTP {}\n\n{}", self.status, self.body)
    }

    /// What it means for the delivery; `callback` says which codes mean that it isn't done yet.
    pub(super) fn outcome(
        &self,
        final_codes: &[u16],
        callback: Option<&CallbackSettings>,
        retry_after_limit: Duration,
        now: Timestamp,
    ) -> Outcome {
        if let Some(callback) = callback.filter(|callback| callback.codes.contains(&self.status.as_u16())) {
            return Outcome::Accepted { within: callback.deadline };
        }
        if self.status.is_success() {
            return Outcome::Delivered;
        }
        let reason = self.reason();
        if final_codes.contains(&self.status.as_u16()) {
            return Outcome::Refused { reason };
        }
        let after = self.retry_after(now).map(|after| after.min(retry_after_limit));
        Outcome::Retry { class: self.failure(), reason, after }
    }

    /// What kind of failure the code means.
    fn failure(&self) -> Failure {
        match self.status.as_u16() {
            429 | 503 => Failure::Busy,
            408 | 502 | 504 => Failure::Unreachable,
            500..=599 => Failure::Failed,
            _ => Failure::Rejected,
        }
    }

    fn reason(&self) -> String {
        let status = self.status;
        if status.is_redirection() {
            return format!("HTTP {status}: redirects aren't followed; correct the connector's `url`");
        }
        match said(&self.body) {
            Some(said) => format!("HTTP {status}: {}", cut(said, REASON)),
            None => format!("HTTP {status}"),
        }
    }

    /// Seconds, or a date.
    fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
        let text = self.retry_after.as_deref()?.trim();
        match text.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => {
                let date = PARSER.parse_timestamp(text).ok()?;
                Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
            }
        }
    }
}

/// What an error's body says, on one line: `{message, error, type[, details]}` of the contract, FastAPI's `{detail}` in its
/// three shapes, or whatever else there is.
fn said(body: &str) -> Option<String> {
    let said = match serde_json::from_str(body) {
        Ok(Value::Object(members)) => said_by_object(&members, 0),
        Ok(Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(_) => body.to_owned(),
    };
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

fn said_by_object(members: &Map<String, Value>, depth: u8) -> String {
    // A `detail` within a `detail` occurs where one framework wraps another; more often than that it is somebody's joke.
    if let Some(detail) = members.get("detail").filter(|_| depth < 3) {
        return said_by_detail(detail, depth);
    }
    let text = |name| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut parts: Vec<String> = Vec::new();
    for part in [text("message"), text("error")].into_iter().flatten() {
        if !parts.iter().any(|said| said == part) {
            parts.push(part.to_owned());
        }
    }
    if let Some(details) = members.get("details").filter(|details| !details.is_null()) {
        parts.push(details.as_str().map_or_else(|| details.to_string(), str::to_owned));
    }
    if parts.is_empty() {
        return Value::Object(members.clone()).to_string();
    }
    // NSPS: upper case in its prose, lower case in its OpenAPI file.
    let kind = text("type").map(|kind| format!(" ({})", kind.to_ascii_lowercase()));
    parts.join(": ") + &kind.unwrap_or_default()
}

/// FastAPI: a text, an object, or a list of `{loc, msg, type}`.
fn said_by_detail(detail: &Value, depth: u8) -> String {
    match detail {
        Value::String(text) => text.clone(),
        Value::Object(members) => said_by_object(members, depth + 1),
        Value::Array(items) => items.iter().map(said_by_item).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

fn said_by_item(item: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let place = item.get("loc").and_then(Value::as_array);
    let place = place.map(|place| place.iter().map(word).collect::<Vec<_>>().join("."));
    match (place, item.get("msg").and_then(Value::as_str)) {
        (Some(place), Some(message)) => format!("{place}: {message}"),
        (None, Some(message)) => message.to_owned(),
        _ => word(item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(str::to_owned),
            body: body.to_owned(),
        }
    }

    fn outcome(answer: &Answer) -> Outcome {
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        answer.outcome(&[400, 413], None, Duration::from_secs(3600), now)
    }

    #[test]
    fn every_2xx_is_processed_and_only_the_final_codes_end_a_delivery() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(outcome(&answer(status, None, "{")), Outcome::Delivered);
        }
        for status in [400, 413] {
            assert!(matches!(outcome(&answer(status, None, "")), Outcome::Refused { .. }), "{status}");
        }
        for status in [301, 401, 403, 404, 405, 408, 409, 422, 429, 500, 502, 503, 504] {
            assert!(matches!(outcome(&answer(status, None, "")), Outcome::Retry { .. }), "{status}");
        }
    }

    #[test]
    fn retry_after_is_honoured_as_seconds_and_as_a_date_within_the_limit() {
        for (text, expected) in [
            ("7", Some(7)),
            ("999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let Outcome::Retry { after, .. } = outcome(&answer(503, Some(text), "")) else {
                panic!("{text}")
            };
            assert_eq!(after, expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn an_error_is_told_whatever_its_shape() {
        for (body, expected) in [
            (
                r#"{"message":"Validation failed","error":"No IMSI","type":"VALIDATION_ERROR"}"#,
                "Validation failed: No IMSI (validation_error)",
            ),
            (
                r#"{"message":"Busy","error":"Busy","type":"rate_limit_error","details":{"limit":5}}"#,
                r#"Busy: {"limit":5} (rate_limit_error)"#,
            ),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            (
                r#"{"detail":{"message":"No","error":"Gone","type":"service_error"}}"#,
                "No: Gone (service_error)",
            ),
            (
                r#"{"detail":[{"loc":["body","data",0],"msg":"Field required","type":"missing"},{"msg":"x"}]}"#,
                "body.data.0: Field required; x",
            ),
            (r#"{"code":7}"#, r#"{"code":7}"#),
            ("<h1>Bad\n gateway</h1>", "<h1>Bad gateway</h1>"),
            ("[]", "[]"),
        ] {
            assert_eq!(said(body).as_deref(), Some(expected), "{body}");
        }
        assert_eq!(said("  "), None);
    }

    #[test]
    fn a_reason_is_bounded() {
        let Outcome::Retry { reason, .. } = outcome(&answer(500, None, &"é".repeat(100_000))) else {
            panic!()
        };
        assert!(reason.len() < 600, "{}", reason.len());
    }
}
