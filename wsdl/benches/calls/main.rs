//! What a call costs beside PHP's, zeep's and node-soap's clients: one account, and a list of 500, 32 calls under way.
//!
//! Run without arguments (`cargo bench`) this starts `bench/bench.py calls` of the peers, which runs all of them in one run
//! against one server, and this program again as that server (`serve`) and as one more client (`call`). Aims: half of PHP's
//! CPU for one account, a quarter for the list.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::env;
use std::path::Path;
use std::process::Command;

mod client;
mod server;

fn main() {
    // cargo adds `--bench`
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", account, list] => server::serve(Path::new(account), Path::new(list)),
        ["call", what, url, places, times] => {
            client::call(what, url, places.parse().unwrap(), times.parse().unwrap());
        }
        _ => compare(&arguments),
    }
}

/// Names of peers may follow; otherwise it is PHP, zeep and node-soap.
fn compare(peers: &[&str]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("peers");
    assert!(folder.is_dir(), "the peers are not installed; tests/peers/setup.sh installs them");
    let mut script = Command::new("python3");
    script.args(["bench/bench.py", "calls"]).args(peers).current_dir(folder);
    let status = script.env("LAB_OWN", env::current_exe().unwrap()).status().unwrap();
    assert!(status.success(), "the comparison failed");
}
