//! `soapstone statuses` and `samples`: what couldn't be written back to PortaBilling, and what couldn't be read of what ESPF posted;
//! by the operator's API of a gateway that runs.

use serde_json::{Value, json};

use super::operate::Where;
use super::progress::Progress;
use super::{CliError, print};

/// Arguments of `soapstone statuses`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Statuses {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Have those written back again that were given up: some by account and group, or all that the options choose.
    Again(Again),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    at: Where,
    /// Those that were given up.
    #[arg(long, required_unless_present = "account")]
    given_up: bool,
    /// Those of this account.
    #[arg(long, value_name = "NUMBER")]
    account: Option<i64>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
struct Again {
    #[command(flatten)]
    at: Where,
    /// Statuses by account and group, such as 1000889/HSS.
    #[arg(value_name = "ACCOUNT/GROUP", required_unless_present_any = ["account", "group", "all"])]
    ids: Vec<String>,
    /// Of this account.
    #[arg(long, value_name = "NUMBER", conflicts_with = "ids")]
    account: Option<i64>,
    /// Of this service group.
    #[arg(long, conflicts_with = "ids")]
    group: Option<String>,
    /// All that were given up.
    #[arg(long, conflicts_with_all = ["ids", "account", "group"])]
    all: bool,
    /// So many per second; all at once by default.
    #[arg(long)]
    rate: Option<f64>,
}

pub(super) async fn statuses(args: Statuses) -> Result<(), CliError> {
    match args.command {
        Some(Command::Again(again)) => write_again(again).await,
        None => list(args.list).await,
    }
}

async fn list(args: List) -> Result<(), CliError> {
    let api = args.at.api()?;
    let (mut after, mut left) = (None::<String>, args.limit);
    while left > 0 {
        let mut query = vec![("limit", left.to_string())];
        query.extend(args.given_up.then(|| ("state", "given_up".to_owned())));
        query.extend(args.account.map(|account| ("account", account.to_string())));
        query.extend(after.map(|after| ("after", after)));
        let page = api.get("/api/v1/statuses", &query).await?;
        for status in page["statuses"].as_array().into_iter().flatten() {
            print(&line(status))?;
            left = left.saturating_sub(1);
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

/// A status on one line.
fn line(status: &Value) -> String {
    let text = |name: &str| status[name].as_str().unwrap_or_default();
    format!(
        "{:<24} {:<11} {:<8} {} attempts={} {}\n",
        format!("{}/{}", status["i_account"], text("group")),
        text("value"),
        text("state"),
        text("at"),
        status["attempts"],
        text("reason"),
    )
}

async fn write_again(args: Again) -> Result<(), CliError> {
    let api = args.at.api()?;
    let bar = Progress::on_terminal().counting("to be written again");
    let mut select = json!({ "account": args.account, "group": args.group });
    let mut pages = match &args.ids[..] {
        [] => vec![json!({ "select": select })],
        // at the end is the first, to be popped
        ids => ids.chunks(api.page_max().await?).map(|ids| json!({ "ids": ids })).rev().collect(),
    };
    let (mut count, mut looked_at) = (0, 0);
    while let Some(mut body) = pages.pop() {
        body["rate"] = json!(args.rate);
        body["begun"] = json!(count);
        let answer = api.post("/api/v1/statuses/again", &body).await?;
        count += answer["again"].as_array().map_or(0, |again| again.len() as u64);
        looked_at += answer["looked_at"].as_u64().unwrap_or(0);
        bar.set_position(count);
        bar.set_message(format!("{looked_at} looked at"));
        if answer["next"].is_string() {
            select["after"] = answer["next"].clone();
            pages.push(json!({ "select": select }));
        }
    }
    bar.finish_and_clear();
    print(&format!("{count} to be written again\n"))?;
    match looked_at.saturating_sub(count) {
        0 => Ok(()),
        rest => print(&format!("{rest} left out: not given up, or not there\n")),
    }
}

/// Arguments of `soapstone samples`.
#[derive(Debug, clap::Args)]
pub(super) struct Samples {
    #[command(flatten)]
    at: Where,
    /// At most so many; the newest come first.
    #[arg(long, default_value_t = 10)]
    limit: usize,
}

pub(super) async fn samples(args: Samples) -> Result<(), CliError> {
    let api = args.at.api()?;
    let (mut before, mut left) = (None::<i64>, args.limit);
    while left > 0 {
        let mut query = vec![("limit", left.to_string())];
        query.extend(before.map(|before| ("before", before.to_string())));
        let page = api.get("/api/v1/samples", &query).await?;
        for sample in page["samples"].as_array().into_iter().flatten() {
            // as JSON, so that nothing in it acts on the terminal
            print(&format!("{sample}\n"))?;
            left = left.saturating_sub(1);
        }
        before = page["next"].as_i64();
        if before.is_none() {
            break;
        }
    }
    Ok(())
}
