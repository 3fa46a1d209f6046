//! `soapstone deliveries`, `replay`, `cancel`, `subscribe`, `pause`, `resume`, `state`: what an operator does with a gateway
//! that runs, by its operator's API.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::progress::Progress;
use super::{CliError, print};
use crate::config::Config;
use crate::http::operator::control::Selection;
use crate::http::operator::pauses::ScopeWords;
use crate::http::operator::who;

/// How long one request to the gateway may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the gateway's operator side is.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    /// The operator's side of the gateway, such as http://127.0.0.1:8081; else as the configuration has it.
    #[arg(long, value_name = "URL", required_unless_present = "config")]
    operator: Option<Url>,
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "SOAPSTONE_CONFIG")]
    config: Option<PathBuf>,
}

/// Which deliveries: those that meet all that is given.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Of this handler.
    #[arg(long)]
    handler: Option<String>,
    /// In this state: pending, in_flight, awaiting, delivered, parked, superseded, cancelled.
    #[arg(long)]
    state: Option<String>,
    /// Of events of this type, as sent.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// About the subject with this id, of whatever kind.
    #[arg(long)]
    subject: Option<String>,
    /// Of events accepted then or later (2026-11-21T03:00:00Z).
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Of events accepted before.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

/// Arguments of `soapstone deliveries`.
#[derive(Debug, clap::Args)]
pub(super) struct Deliveries {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    which: Which,
    /// One delivery by its id, with its event and attempts.
    #[arg(long, conflicts_with_all = ["handler", "state", "event_type", "subject", "from", "until"])]
    id: Option<Uuid>,
    /// At most so many; they come oldest first.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// Arguments of `soapstone replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    #[command(flatten)]
    at: Where,
    /// Deliveries by their ids; else those that the options choose.
    ids: Vec<Uuid>,
    #[command(flatten)]
    which: Which,
    /// So many per second; all at once by default.
    #[arg(long)]
    rate: Option<f64>,
}

/// Arguments of `soapstone cancel`.
#[derive(Debug, clap::Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    at: Where,
    /// Deliveries by their ids; else those that the options choose.
    ids: Vec<Uuid>,
    #[command(flatten)]
    which: Which,
    /// Why; it is kept with them.
    #[arg(long)]
    reason: String,
}

/// Arguments of `soapstone subscribe`.
#[derive(Debug, clap::Args)]
pub(super) struct Subscribe {
    #[command(flatten)]
    at: Where,
    /// The handler that is to get them.
    handler: String,
    /// One event by its id; else all those that the handler wants and the options choose.
    #[arg(long)]
    event: Option<Uuid>,
    /// Events of this type, as sent.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Events about the subject with this id.
    #[arg(long)]
    subject: Option<String>,
    /// So many per second; all at once by default.
    #[arg(long)]
    rate: Option<f64>,
}

/// Arguments of `soapstone pause` and `soapstone resume`.
#[derive(Debug, clap::Args)]
pub(super) struct Scope {
    #[command(flatten)]
    at: Where,
    /// Everything: maintenance. Events are accepted all the same.
    #[arg(long, conflicts_with_all = ["handler", "connector", "subject"])]
    everything: bool,
    /// A handler by its name.
    #[arg(long, conflicts_with_all = ["connector", "subject"])]
    handler: Option<String>,
    /// A connector by its name.
    #[arg(long, conflicts_with = "subject")]
    connector: Option<String>,
    /// A subject by kind and id, such as "account 7".
    #[arg(long)]
    subject: Option<String>,
    /// Why; it is shown as long as the pause lasts.
    #[arg(long)]
    reason: Option<String>,
}

/// Arguments of `soapstone state`.
#[derive(Debug, clap::Args)]
pub(super) struct State {
    #[command(flatten)]
    at: Where,
}

/// The operator's API of a gateway that runs.
pub(super) struct Api {
    client: reqwest::Client,
    base: Url,
}

impl Where {
    pub(super) fn api(&self) -> Result<Api, CliError> {
        let base = match (&self.operator, &self.config) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => {
                // no more of it: not everybody who asks has the secrets of the gateway
                let address = Config::load_listen(file)?.operator;
                Url::parse(&format!("http://{address}")).map_err(|error| CliError::Failed(error.into()))?
            }
            (None, None) => return Err(CliError::Usage("give --operator or --config".into())),
        };
        let client = reqwest::Client::builder().timeout(PATIENCE).default_headers(user()).build();
        Ok(Api { client: client.map_err(|error| CliError::Failed(error.into()))?, base })
    }
}

/// For the gateway's log.
fn user() -> HeaderMap {
    let name = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let value = name.and_then(|name| HeaderValue::from_str(&name).ok());
    value.map(|value| (HeaderName::from_static(who::HEADER), value)).into_iter().collect()
}

impl Api {
    pub(super) async fn get(&self, path: &str, query: &impl serde::Serialize) -> Result<Value, CliError> {
        let url = self.url(path)?;
        let query = serde_urlencoded::to_string(query).map_err(|error| CliError::Failed(error.into()))?;
        let mut url = url;
        url.set_query(Some(&query).filter(|query| !query.is_empty()).map(String::as_str));
        self.answer(self.client.get(url)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        let request = self.client.post(self.url(path)?);
        let request = request.header("content-type", "application/json").body(body.to_string());
        self.answer(request).await
    }

    /// How many ids the gateway takes at a time.
    pub(super) async fn page_max(&self) -> Result<usize, CliError> {
        let limits = self.get("/api/v1/limits", &()).await?;
        Ok(limits["page_max"].as_u64().and_then(|max| usize::try_from(max).ok()).unwrap_or(1).max(1))
    }

    fn url(&self, path: &str) -> Result<Url, CliError> {
        self.base.join(path).map_err(|error| CliError::Failed(error.into()))
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, CliError> {
        let response = request.send().await.map_err(|error| {
            let why = crate::chain::chain(&error.without_url());
            CliError::Failed(
                format!("{}: the gateway doesn't answer; does it run there? {why}", self.base).into(),
            )
        })?;
        let status = response.status();
        let text = response.text().await.map_err(|error| CliError::Failed(error.into()))?;
        let value: Value = serde_json::from_str(&text).map_err(|_| {
            CliError::Failed(format!("{}: HTTP {status}, and no JSON; is it the gateway?", self.base).into())
        })?;
        if status.is_success() {
            return Ok(value);
        }
        let said = value["error"].as_str().unwrap_or(&text).to_owned();
        Err(match status.is_client_error() {
            true => CliError::Usage(said),
            false => CliError::Failed(said.into()),
        })
    }
}

impl Which {
    /// As many as a page of the gateway has.
    fn selection(&self) -> Selection {
        Selection {
            handler: self.handler.clone(),
            state: self.state.clone(),
            r#type: self.event_type.clone(),
            subject: self.subject.clone(),
            from: self.from,
            until: self.until,
            after: None,
            limit: None,
        }
    }

    /// Nobody means everything who says nothing.
    fn says_something(&self) -> bool {
        let Self { handler, state, event_type, subject, from, until } = self;
        let texts = [handler, state, event_type, subject].into_iter().any(Option::is_some);
        texts || from.is_some() || until.is_some()
    }
}

pub(super) async fn deliveries(args: Deliveries) -> Result<(), CliError> {
    let api = args.at.api()?;
    if let Some(id) = args.id {
        return show(&api.get(&format!("/api/v1/deliveries/{id}"), &()).await?);
    }
    let mut selection = args.which.selection();
    let mut left = args.limit;
    while left > 0 {
        selection.limit = Some(left);
        let page = api.get("/api/v1/deliveries", &selection).await?;
        for delivery in page["deliveries"].as_array().into_iter().flatten() {
            print(&line(delivery))?;
            left = left.saturating_sub(1);
        }
        selection.after = page["next"].as_str().and_then(|next| next.parse().ok());
        if selection.after.is_none() {
            break;
        }
    }
    Ok(())
}

/// A delivery on one line.
fn line(delivery: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subject = format!("{} {}", text(&delivery["subject"]["kind"]), text(&delivery["subject"]["id"]));
    format!(
        "{}  {:<10} {:<16} {:<22} {} attempts={} {}\n",
        text(&delivery["id"]),
        text(&delivery["state"]),
        text(&delivery["handler"]),
        subject,
        text(&delivery["at"]),
        delivery["attempts"],
        text(&delivery["reason"]),
    )
}

pub(super) async fn replay(args: Replay) -> Result<(), CliError> {
    let api = args.at.api()?;
    let done = many(&api, "/api/v1/replay", "replayed", &args.ids, &args.which, |body, begun| {
        body["rate"] = json!(args.rate);
        body["begun"] = json!(begun);
    });
    let Done { count, left_out } = done.await?;
    print(&format!("{count} replayed\n"))?;
    print_left_out(&left_out, |state| match state {
        "in_flight" => "in flight, so it is being tried",
        "awaiting" => "awaiting its callback",
        "unknown" => "no such delivery",
        _ => "a newer one of its subject waits, and the order is latest",
    })
}

pub(super) async fn cancel(args: Cancel) -> Result<(), CliError> {
    let api = args.at.api()?;
    let done = many(&api, "/api/v1/cancel", "cancelled", &args.ids, &args.which, |body, _| {
        body["reason"] = json!(args.reason);
    });
    let Done { count, left_out } = done.await?;
    print(&format!("{count} cancelled\n"))?;
    print_left_out(&left_out, |state| match state {
        "in_flight" => "in flight; cancel it when that has ended",
        "unknown" => "no such delivery",
        "delivered" => "delivered",
        "superseded" => "superseded",
        "cancelled" => "cancelled before",
        _ => "it has changed meanwhile",
    })
}

/// What was done.
#[derive(Default)]
struct Done {
    count: u64,
    /// With so many nothing was, by their states.
    left_out: BTreeMap<String, u64>,
}

fn print_left_out(
    left_out: &BTreeMap<String, u64>,
    why: impl Fn(&str) -> &'static str,
) -> Result<(), CliError> {
    left_out.iter().try_for_each(|(state, count)| print(&format!("{count} left out: {}\n", why(state))))
}

/// Page after page; answers how many.
async fn many(
    api: &Api,
    path: &str,
    done: &str,
    ids: &[Uuid],
    which: &Which,
    complete: impl Fn(&mut Value, u64),
) -> Result<Done, CliError> {
    if ids.is_empty() != which.says_something() {
        let what = "name deliveries by their ids, or choose them by options such as --state parked";
        return Err(CliError::Usage(what.into()));
    }
    let (mut so_far, mut looked_at) = (Done::default(), 0);
    let bar = Progress::on_terminal().counting(done);
    let mut selection = which.selection();
    let mut pages = match ids {
        [] => vec![json!({ "select": selection })],
        // at the end is the first, to be popped
        ids => ids.chunks(api.page_max().await?).map(|ids| json!({ "ids": ids })).rev().collect(),
    };
    while let Some(mut body) = pages.pop() {
        complete(&mut body, so_far.count);
        let answer = api.post(path, &body).await?;
        so_far.count += answer[done].as_array().map_or(0, |ids| ids.len() as u64);
        for (state, count) in answer["left_out"].as_object().into_iter().flatten() {
            *so_far.left_out.entry(state.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        looked_at += answer["looked_at"].as_u64().unwrap_or(0);
        bar.set_position(so_far.count);
        bar.set_message(format!("{looked_at} looked at"));
        if let Some(next) = answer["next"].as_str().and_then(|next| next.parse().ok()) {
            selection.after = Some(next);
            pages.push(json!({ "select": selection }));
        }
    }
    bar.finish_and_clear();
    Ok(so_far)
}

pub(super) async fn subscribe(args: Subscribe) -> Result<(), CliError> {
    let api = args.at.api()?;
    let bar = Progress::on_terminal().counting("made");
    let (mut made, mut after) = (0, None::<String>);
    loop {
        let mut body = json!({ "handler": args.handler, "rate": args.rate, "begun": made });
        match args.event {
            Some(event) => body["event"] = json!(event),
            None => {
                body["type"] = json!(args.event_type);
                body["subject"] = json!(args.subject);
                body["after"] = json!(after);
            }
        }
        let answer = api.post("/api/v1/subscribe", &body).await?;
        made += answer["made"].as_array().map_or(0, |made| made.len() as u64);
        bar.set_position(made);
        after = answer["next"].as_str().map(str::to_owned);
        if after.is_none() {
            bar.finish_and_clear();
            return print(&format!("{made} deliveries made\n"));
        }
    }
}

impl Scope {
    fn words(&self) -> Result<ScopeWords, CliError> {
        let named = [("handler", &self.handler), ("connector", &self.connector), ("subject", &self.subject)];
        let named = named.into_iter().find_map(|(scope, name)| Some((scope, name.clone()?)));
        let (scope, name) = match named {
            Some(named) => named,
            None if self.everything => ("everything", String::new()),
            None => {
                let what = "say what: --everything, --handler, --connector or --subject";
                return Err(CliError::Usage(what.into()));
            }
        };
        Ok(ScopeWords { scope: scope.to_owned(), name, reason: self.reason.clone() })
    }
}

pub(super) async fn pause(args: Scope) -> Result<(), CliError> {
    let words = args.words()?;
    let answer = args.at.api()?.post("/api/v1/pauses", &json!(words)).await?;
    print("paused; what is in flight ends, events are accepted all the same\n")?;
    match answer["known"] == false {
        true => print(&format!(
            "there has been no event about {} so far\n",
            answer["name"].as_str().unwrap_or_default()
        )),
        false => Ok(()),
    }
}

pub(super) async fn resume(args: Scope) -> Result<(), CliError> {
    let words = args.words()?;
    let answer = args.at.api()?.post("/api/v1/resume", &json!(words)).await?;
    print(if answer["was_paused"] == true { "resumed\n" } else { "that was not paused\n" })
}

pub(super) async fn state(args: State) -> Result<(), CliError> {
    let api = args.at.api()?;
    let (pauses, breakers) =
        tokio::try_join!(api.get("/api/v1/pauses", &()), api.get("/api/v1/breakers", &()))?;
    let backlog = api.get("/api/v1/backlog", &()).await?;
    show(
        &json!({ "pauses": pauses["pauses"], "breakers": breakers["breakers"], "backlog": backlog["backlog"] }),
    )
}

fn show(value: &Value) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Failed(error.into()))?;
    print(&format!("{text}\n"))
}
