//! `soapstone reconcile`: has a gateway that runs compare all accounts, or customers, with what was delivered last, and shows how
//! far it is.
//!
//! The walk is the gateway's: it goes on when this command is interrupted.

use std::collections::BTreeMap;
use std::io::{Write, stderr};
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::operate::{Api, Where};
use super::progress::Progress;
use super::{CliError, print};

/// How often it asks how far the walks are.
const BEAT: Duration = Duration::from_millis(250);

/// Arguments of `soapstone reconcile`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    at: Where,
    /// For this handler only; else for all that have `reconcile` in the configuration.
    #[arg(long)]
    handler: Option<String>,
    /// Make no events; say which differ, and in what, and which are gone.
    #[arg(long)]
    dry_run: bool,
    /// So many accounts and customers per second; else as the configuration has it.
    #[arg(long)]
    rate: Option<f64>,
    /// Go on with the walk that was stopped or has broken off.
    #[arg(long, conflicts_with_all = ["dry_run", "rate"])]
    resume: bool,
    /// Stop what is under way; it can be resumed.
    #[arg(long, conflicts_with_all = ["dry_run", "rate", "resume"])]
    stop: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let api = args.at.api()?;
    if args.stop {
        let answer = api.post("/api/v1/reconcile/stop", &json!({ "handler": args.handler })).await?;
        let stopped = names(&answer["stopped"]);
        return match stopped.is_empty() {
            true => print("nothing was under way\n"),
            false => print(&format!("stopped: {}; --resume goes on\n", stopped.join(", "))),
        };
    }
    let order = json!({
        "handler": args.handler,
        "dry_run": args.dry_run,
        "rate": args.rate,
        "resume": args.resume,
    });
    let work = async {
        let started = api.post("/api/v1/reconcile", &order).await?;
        follow(&api, &names(&started["started"])).await
    };
    // listened for from the beginning: by the time that the gateway answers, the walk is under way
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        walks = work => summary(&walks?),
        _ = interrupt.recv() => {
            let mut to = stderr().lock();
            let _ = writeln!(to, "\nit goes on in the gateway; `soapstone reconcile --stop` stops it");
            Ok(())
        }
    }
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Shows how far these are until none of them runs any more; answers how they ended.
async fn follow(api: &Api, handlers: &[String]) -> Result<Vec<Value>, CliError> {
    let (progress, mut bars) = (Progress::on_terminal(), BTreeMap::new());
    loop {
        let answer = api.get("/api/v1/reconcile", &()).await?;
        let walks = answer["walks"].as_array().cloned().unwrap_or_default();
        let ours = |walk: &&Value| handlers.iter().any(|name| walk["handler"] == **name);
        let walks: Vec<Value> = walks.iter().filter(ours).cloned().collect();
        for walk in &walks {
            let name = walk["handler"].as_str().unwrap_or_default().to_owned();
            let bar = bars.entry(name.clone()).or_insert_with(|| progress.walking(&name));
            show(bar, walk);
        }
        // one that another gateway has just taken over isn't there for a moment
        let known = |name: &String| walks.iter().any(|walk| walk["handler"] == **name);
        if handlers.iter().all(known) && walks.iter().all(|walk| walk["state"] != "running") {
            bars.values().for_each(ProgressBar::finish_and_clear);
            return Ok(walks);
        }
        tokio::time::sleep(BEAT).await;
    }
}

fn show(bar: &ProgressBar, walk: &Value) {
    bar.set_length(walk["total"].as_u64().unwrap_or(0));
    bar.set_position(walk["seen"].as_u64().unwrap_or(0));
    let mut message = format!("{} differ", walk["differing"]);
    if walk["gone"].as_u64() > Some(0) {
        message += &format!(", {} gone", walk["gone"]);
    }
    if let Some(of) = walk["of"].as_str() {
        message += &format!(", looking for new {of}");
    }
    if let Some(rate) = walk["per_second"].as_f64() {
        message += &format!(", {rate:.0}/s");
    }
    if let Some(left) = walk["seconds_left"].as_f64() {
        message += &format!(", about {} left", span(left));
    }
    if let Some(waits) = walk["waits"].as_str() {
        message += &format!("; waits: {waits}");
    }
    bar.set_message(message);
}

/// `2 d 3 h`, `5 h 20 min`, `12 min 5 s`, `7 s`.
fn span(seconds: f64) -> String {
    // truncation is meant: whole seconds
    let seconds = seconds as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// How they ended; those that broke off are a failure.
fn summary(walks: &[Value]) -> Result<(), CliError> {
    for walk in walks {
        let text = |name: &str| walk[name].as_str().unwrap_or_default();
        print(&format!(
            "{}: {}; {} seen: {} as delivered, {} differ, {} on their way, {} left alone, {} gone ({} untold, {} not listened \
             for), {} failed; {} events made\n",
            text("handler"),
            text("state"),
            walk["seen"],
            walk["same"],
            walk["differing"],
            walk["on_its_way"],
            walk["left"],
            walk["gone"],
            walk["untold"],
            walk["unheard"],
            walk["failed"],
            walk["enqueued"],
        ))?;
        if walk["dry_run"] == true {
            for example in walk["examples"].as_array().into_iter().flatten() {
                print(&line(example))?;
            }
        }
    }
    let broken = walks.iter().filter(|walk| walk["state"] == "failed");
    let reasons: Vec<_> = broken.map(|walk| format!("{}: {}", walk["handler"], walk["reason"])).collect();
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(CliError::Failed(format!("{}; --resume goes on", reasons.join("; ")).into())),
    }
}

fn line(example: &Value) -> String {
    let how = match example["difference"].as_str() {
        Some("never_delivered") => "never delivered".to_owned(),
        Some("gone") => "gone".to_owned(),
        Some("unheard") => "gone, not listened for".to_owned(),
        _ => names(&example["members"]).join(", "),
    };
    let subject = &example["subject"];
    let text = |name: &str| subject[name].as_str().unwrap_or_default();
    format!("  {} {}: {how}\n", text("kind"), text("id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_exact_as_they_need_to_be() {
        let spans = [7.9, 725.0, 19_200.0, 183_700.0].map(span);
        assert_eq!(spans, ["7 s", "12 min 5 s", "5 h 20 min", "2 d 3 h"]);
    }
}
