//! Files that PortaBilling sends instead of an answer: invoices, recordings, reports. They go to their place as they come.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request, Response};
use soapstone_soap::{Call, CallError, Json, transport};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::attempts::Needs;
use super::exchange::{fault, unanswered, unreadable};
use super::{Cause, Client, Error};

/// A file that is being received.
pub struct Download {
    /// What it is called there (`Content-Disposition`), without any folder; it may be missing.
    pub name: Option<String>,
    /// What it is (`application/pdf`).
    pub content_type: Option<String>,
    /// How long it is, where the answer says so.
    pub length: Option<u64>,
    body: Body,
    limit: u64,
    call: (&'static str, &'static str),
}

enum Body {
    Streamed(reqwest::Response),
    Whole(Option<Bytes>),
}

impl std::fmt::Debug for Download {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Download")
            .field("name", &self.name)
            .field("content_type", &self.content_type)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Calls an operation that answers with a file. Files come over JSON only, whatever the settings say for other calls.
    ///
    /// ```no_run
    /// use portabilling::cdr::{GetCallRecording, GetCallRecordingRequest};
    /// # async fn example(client: portabilling::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = GetCallRecordingRequest::default();
    /// let download = client.download::<GetCallRecording>(&request).await?;
    /// let bytes = download.save("recording.wav").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; an answer without a file is unreadable.
    pub async fn download<C: Call>(&self, request: &C::Request) -> Result<Download, Error> {
        let operation = C::operation();
        let (service, method) = (operation.service, operation.name);
        let asked = async {
            let params =
                serde_json::to_string(&Json(request)).map_err(|error| Cause::not_sent(error.into()))?;
            let params = params.as_str();
            let begun = self.attempt(Needs::Proof, super::only_reads(method), |turn| async move {
                self.begin(self.json_request(&turn.site, service, method, &turn.proof, params)?).await
            });
            let (headers, body) = begun.await?;
            Ok(Download::new(&headers, body, self.settings().download_bytes, (service, method)))
        };
        self.reported(service, method, asked).await
    }

    async fn begin(&self, mut request: Request<Bytes>) -> Result<(HeaderMap, Body), Cause> {
        let Some(http) = &self.inner.carrier.http else {
            let answer = self.send(request).await?;
            return match is_file(answer.status(), answer.headers()) {
                true => Ok((answer.headers().clone(), Body::Whole(Some(answer.into_body())))),
                false => Err(no_file(&answer)),
            };
        };
        self.trace(&mut request);
        let mut request =
            reqwest::Request::try_from(request).map_err(|error| Cause::not_sent(error.into()))?;
        *request.timeout_mut() = Some(self.settings().download_timeout);
        let answer = http.execute(request).await.map_err(|error| unanswered(transport::failure(error)))?;
        if is_file(answer.status(), answer.headers()) {
            return Ok((answer.headers().clone(), Body::Streamed(answer)));
        }
        let mut whole = Response::new(Bytes::new());
        *whole.status_mut() = answer.status();
        answer.headers().clone_into(whole.headers_mut());
        let body = transport::read(answer, self.settings().limits.message_bytes).await;
        *whole.body_mut() = body.map_err(|error| Cause::Call(CallError::MaybeSent(error).into()))?;
        Err(no_file(&whole))
    }
}

/// Files come with 200 and are neither JSON nor a page for people; a transcription may lack the disposition.
fn is_file(status: http::StatusCode, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = text(&CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let attached = text(&CONTENT_DISPOSITION).to_ascii_lowercase().starts_with("attachment");
    status == http::StatusCode::OK && (attached || !(kind.ends_with("json") || kind == "text/html"))
}

fn no_file(answer: &Response<Bytes>) -> Cause {
    fault(answer).unwrap_or_else(|| unreadable(answer, "no file"))
}

impl Download {
    fn new(headers: &HeaderMap, body: Body, limit: u64, call: (&'static str, &'static str)) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            name: text(&CONTENT_DISPOSITION).and_then(file_name),
            content_type: text(&CONTENT_TYPE).map(str::to_string),
            length: text(&CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            body,
            limit,
            call,
        }
    }

    /// Writes it to wherever, and answers how many bytes it had.
    ///
    /// # Errors
    /// A connection that breaks, a file longer than [`super::Settings::download_bytes`], and what the writer says.
    pub async fn write_to(mut self, mut writer: impl AsyncWrite + Unpin) -> Result<u64, Error> {
        let (began, mut written) = (Instant::now(), 0);
        while let Some(chunk) = self.chunk().await? {
            written += chunk.len() as u64;
            if written > self.limit {
                return Err(self.failed(format!("it is longer than {} bytes", self.limit)));
            }
            writer.write_all(&chunk).await.map_err(|error| self.failed(error.to_string()))?;
        }
        writer.flush().await.map_err(|error| self.failed(error.to_string()))?;
        if self.length.is_some_and(|length| length != written) {
            return Err(self.failed("it broke off".to_string()));
        }
        tracing::debug!(name = self.name, written, took = ?began.elapsed(), "downloaded");
        Ok(written)
    }

    /// Writes it to a file, and answers how many bytes it had. While it is incomplete it is called `<path>.part`.
    ///
    /// # Errors
    /// As for [`Self::write_to`]; what was received until then is removed.
    pub async fn save(self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let path = path.as_ref();
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let call = self.call;
        let failed = |error: std::io::Error| named(call, error.to_string());
        let mut file = tokio::fs::File::create(&part).await.map_err(failed)?;
        let written = match self.write_to(&mut file).await {
            Ok(written) => written,
            Err(error) => {
                // the error that counts is the first
                drop(tokio::fs::remove_file(&part).await);
                return Err(error);
            }
        };
        file.sync_all().await.map_err(failed)?;
        tokio::fs::rename(&part, path).await.map_err(failed)?;
        Ok(written)
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.body {
            Body::Whole(bytes) => Ok(bytes.take()),
            Body::Streamed(answer) => answer.chunk().await.map_err(|error| {
                let cause = Cause::Call(CallError::MaybeSent(error.without_url().into()).into());
                Error { service: self.call.0, method: self.call.1, cause }
            }),
        }
    }

    fn failed(&self, why: String) -> Error {
        named(self.call, why)
    }
}

fn named((service, method): (&'static str, &'static str), why: String) -> Error {
    Error { service, method, cause: Cause::File(why) }
}

/// The file's name without any folder, so that it can't lead out of one (RFC 6266 §4.3).
fn file_name(disposition: &str) -> Option<String> {
    let parameter = disposition.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("filename").then(|| value.trim().trim_matches('"').to_string())
    })?;
    let last = parameter.rsplit(['/', '\\']).next()?.trim();
    let harmless: String = last.chars().filter(|c| !c.is_control()).collect();
    (!harmless.is_empty() && harmless != "." && harmless != "..").then_some(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_leads_nowhere_else() {
        for (disposition, name) in [
            ("attachment; filename=\"invoice 7.pdf\"", Some("invoice 7.pdf")),
            ("attachment; FileName=a.csv", Some("a.csv")),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"C:\\x\\y.pdf\"", Some("y.pdf")),
            ("attachment; filename=\"..\"", None),
            ("attachment", None),
            ("inline", None),
        ] {
            assert_eq!(file_name(disposition).as_deref(), name, "{disposition}");
        }
    }
}
