//! `soapstone simulate`: a PortaBilling to develop against.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;

use super::{CliError, print};
use crate::simulator::{
    Change, Disturbance, Sender, SenderSettings, SessionSettings, Simulator, SimulatorSettings,
};

/// Arguments of `soapstone simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// How many accounts to make up.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    accounts: u64,
    /// How many seconds a session and its token are good.
    #[arg(long, value_name = "SECONDS", default_value_t = 172_800, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    lifetime: u64,
    /// How many milliseconds every answer takes longer.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// How many of a hundred requests fail as behind a broken proxy.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    failing: u8,
    /// Where to post events to; none are sent without it.
    #[arg(long, value_name = "URL")]
    espf_url: Option<Url>,
    /// `user:password` for HTTP Basic at the URL of events.
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "SOAPSTONE_SIMULATE_ESPF_LOGIN",
        requires = "espf_url",
        hide_env_values = true
    )]
    espf_login: Option<String>,
    /// How many events to send in a second.
    #[arg(long, value_name = "R", default_value_t = 10, requires = "espf_url", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// Of a hundred events, how many are sent twice.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, requires = "espf_url", value_parser = clap::value_parser!(u8).range(0..=100))]
    duplicates: u8,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let sessions =
        SessionSettings { lifetime: Duration::from_secs(args.lifetime), ..SessionSettings::default() };
    let accounts = usize::try_from(args.accounts).unwrap_or(usize::MAX);
    let simulator =
        Simulator::start(args.listen, SimulatorSettings { accounts, sessions: sessions.clone() }).await?;
    simulator.disturb(Disturbance {
        latency: Duration::from_millis(args.latency),
        failing: f64::from(args.failing) / 100.0,
        ..Disturbance::default()
    });
    let (first, last) = simulator.world(|world| {
        let ids = world.account_ids();
        (ids.first().copied().unwrap_or_default(), ids.last().copied().unwrap_or_default())
    });
    print(&format!(
        "PortaBilling (simulated) at {url}\n\
         SOAP at {url}/soap/{{Service}}/{{method}}, JSON at {url}/rest/{{Service}}/{{method}}, definitions at {url}/wsdl/AccountAdminService.wsdl\n\
         login {login:?}, password {password:?}, API token {token:?}; accounts {first} to {last}\n",
        url = simulator.url(),
        login = sessions.login,
        password = sessions.password,
        token = sessions.token,
    ))?;
    match args.espf_url.clone() {
        Some(url) => {
            let sender = sender(&args, url)?;
            tokio::select! {
                () = sender.run() => {}
                () = changes(&simulator, &sender, args.rate) => {}
                () = super::stop_signal() => {}
            }
            let stats =
                serde_json::to_string(&sender.stats()).map_err(|error| CliError::Failed(error.into()))?;
            print(&format!("{stats}\n"))?;
        }
        None => super::stop_signal().await,
    }
    simulator.stop().await;
    Ok(())
}

fn sender(args: &Args, url: Url) -> Result<Sender, CliError> {
    let login = args.espf_login.clone().unwrap_or_default();
    let (user, password) = login.split_once(':').unwrap_or((&login, ""));
    let mut settings = SenderSettings::new(url, user, password);
    settings.duplicates = args.duplicates;
    Sender::new(settings).map_err(|error| CliError::Failed(error.into()))
}

/// An administrator who never rests.
async fn changes(simulator: &Simulator, sender: &Sender, rate: u64) {
    let mut beat =
        tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX));
    let all =
        [Change::Update, Change::Create, Change::Block, Change::Update, Change::SwapSim, Change::PayInvoice];
    for number in 0_usize.. {
        beat.tick().await;
        let time = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        let event = simulator.world(|world| {
            let ids = world.account_ids();
            let i_account =
                ids.get(number.wrapping_mul(7919) % ids.len().max(1)).copied().unwrap_or_default();
            world.change(all[number % all.len()], i_account, &time)
        });
        sender.offer(event);
    }
}
