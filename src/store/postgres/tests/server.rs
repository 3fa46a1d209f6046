//! A PostgreSQL of our own: its own programs, in a temporary folder, gone when this process is.
//!
//! A server won't run as root, so then it runs as somebody else. It listens on a socket in its folder, and so does no harm to others
//! that are there; one that speaks TLS listens on this machine's own address. `fsync` is on, as everywhere.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A server that runs.
pub(crate) struct Server {
    /// Whether it waits for the disk.
    fsync: bool,
    /// Where it speaks TLS, if it does.
    port: Option<u16>,
    folder: PathBuf,
    bin: PathBuf,
    user: Option<(u32, u32)>,
    running: Mutex<Option<Child>>,
}

/// The server of this process; none where PostgreSQL isn't installed, unless it is required.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    started(&SERVER, |bin| Server::start(bin, true, None))
}

/// Another, for whoever crashes it: others would be hit, too.
#[allow(dead_code)] // not by every test program that has this file
pub(crate) fn mortal() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    started(&SERVER, |bin| Server::start(bin, true, None))
}

/// Another, which has a certificate: this one, with its key, both in PEM.
#[allow(dead_code)] // not by every test program that has this file
pub(crate) fn with_certificate(certificate: &str, key: &str) -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    started(&SERVER, |bin| Server::start(bin, true, Some((certificate, key))))
}

/// Another, which forgets when the power fails.
#[allow(dead_code)] // not by every test program that has this file
pub(crate) fn forgetful() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    started(&SERVER, |bin| Server::start(bin, false, None))
}

/// Another, for whoever makes it one that only reads, as one does that follows another.
#[allow(dead_code)] // not by every test program that has this file
pub(crate) fn standby() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    started(&SERVER, |bin| Server::start(bin, true, None))
}

fn started(
    server: &'static OnceLock<Option<Server>>,
    start: impl FnOnce(&Path) -> Server,
) -> Option<&'static Server> {
    let server = server.get_or_init(|| bin().map(|bin| start(&bin))).as_ref();
    if server.is_none() {
        let required = std::env::var_os("SOAPSTONE_REQUIRE_POSTGRES").is_some_and(|value| value != "0");
        assert!(!required, "PostgreSQL 15 or later isn't installed (initdb, postgres)");
        eprintln!("skipped: PostgreSQL isn't installed");
    }
    server
}

/// The folder with the programs: the newest where Debian puts them, else wherever they are found.
fn bin() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(version, bin)| {
            *version >= 15 && bin.join("initdb").exists() && bin.join("postgres").exists()
        })
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).filter(|folder| folder.join("initdb").exists());
    versions.pop().map(|(_, bin)| bin).or_else(|| found.next())
}

/// Somebody who isn't root, where we are: user and group.
fn somebody() -> Option<(u32, u32)> {
    let me = Command::new("id").arg("-u").output().ok()?;
    if String::from_utf8_lossy(&me.stdout).trim() != "0" {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let named = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(|id| id.parse().ok());
        Some((ids.next()??, ids.next()??))
    };
    named("postgres").or_else(|| named("nobody"))
}

impl Server {
    fn start(bin: &Path, fsync: bool, certificate: Option<(&str, &str)>) -> Self {
        let folder = tempfile::Builder::new().prefix("soapstone-pg-").tempdir().expect("a folder").keep();
        let user = somebody();
        #[cfg(unix)]
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(&folder, Some(user), Some(group)).expect("a folder of somebody else's");
        }
        // nobody else takes it so soon
        let port = certificate.map(|_| {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
            listener.local_addr().expect("an address").port()
        });
        let server = Self { fsync, port, folder, bin: bin.to_owned(), user, running: Mutex::new(None) };
        let made = server
            .command(&bin.join("initdb"))
            .args([
                "--username=soapstone",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(server.folder.join("data"))
            .output()
            .expect("initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        if let Some((certificate, key)) = certificate {
            server.keep("server.crt", certificate);
            server.keep("server.key", key);
        }
        server.run();
        server
    }

    /// Puts a file among its data that only the server may read.
    fn keep(&self, name: &str, text: &str) {
        let path = self.folder.join("data").join(name);
        fs::write(&path, text).expect("a file");
        #[cfg(unix)]
        {
            let only_me = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&path, only_me).expect("a file of its own");
            if let Some((user, group)) = self.user {
                std::os::unix::fs::chown(&path, Some(user), Some(group)).expect("a file of somebody else's");
            }
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        #[cfg(unix)]
        if let Some((user, group)) = self.user {
            std::os::unix::process::CommandExt::uid(&mut command, user);
            std::os::unix::process::CommandExt::gid(&mut command, group);
        }
        command.current_dir(&self.folder);
        command
    }

    /// Starts it, beneath a shell that ends it when this process has ended, however that came about.
    fn run(&self) {
        const SCRIPT: &str = r#"
            "$0" -D "$1/data" -k "$1" -c listen_addresses=$3 -c port=$4 -c ssl=$5 -c fsync=$2 -c max_connections=200 \
                -c shared_buffers=64MB -c log_min_messages=fatal >"$1/log" 2>&1 &
            server=$!
            read -r line
            kill -INT $server; wait $server
            [ "$line" = stop ] || rm -rf "$1"
        "#;
        let mut child = self
            .command(Path::new("/bin/sh"))
            .args(["-c", SCRIPT])
            .arg(self.bin.join("postgres"))
            .arg(&self.folder)
            .arg(if self.fsync { "on" } else { "off" })
            .args(match self.port {
                Some(port) => ["127.0.0.1".to_owned(), port.to_string(), "on".to_owned()],
                None => ["".to_owned(), "5432".to_owned(), "off".to_owned()],
            })
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let began = Instant::now();
        while !self.answers() {
            assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL doesn't start:\n{}", self.log());
            assert!(child.try_wait().expect("a child").is_none(), "PostgreSQL has ended:\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    }

    /// Its file says `ready` once it is.
    fn answers(&self) -> bool {
        let mut state = String::new();
        let file = fs::File::open(self.folder.join("data/postmaster.pid"));
        file.and_then(|mut file| file.read_to_string(&mut state)).is_ok() && state.contains("ready")
    }

    /// Ends it as a failing machine does (SIGKILL to all of it), and starts it anew on what is on the disk.
    #[allow(dead_code)] // not by every test program that has this file
    pub(crate) fn crash(&self) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("it runs");
        let pid = pid.lines().next().expect("its number").to_owned();
        let children = Command::new("pgrep").args(["-P", &pid]).output().expect("its children");
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        let all: Vec<&str> = std::iter::once(pid.as_str()).chain(children.split_whitespace()).collect();
        // All at once, else the first makes new ones of those that went.
        let killed = Command::new("kill").arg("-KILL").args(&all).stderr(Stdio::null()).status();
        assert!(killed.is_ok(), "it can't be killed");
        let began = Instant::now();
        let alive = |pid: &&str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        while all.iter().any(alive) {
            assert!(began.elapsed() < Duration::from_secs(20), "it doesn't die");
            thread::sleep(Duration::from_millis(5));
        }
        let child = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            // the shell keeps the folder
            if let Some(mut stdin) = child.stdin.take() {
                let _ = std::io::Write::write_all(&mut stdin, b"stop\n");
            }
            let _ = child.wait();
        }
        let _ = fs::remove_file(self.folder.join("data/postmaster.pid"));
        self.run();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// How to connect.
    pub(crate) fn url(&self) -> String {
        format!("host={} port=5432 user=soapstone dbname=postgres", self.folder.display())
    }

    /// How to connect by this name of the machine.
    #[allow(dead_code)] // not by every test program that has this file
    pub(crate) fn url_by(&self, name: &str) -> String {
        let port = self.port.expect("one that speaks TLS");
        format!("postgres://soapstone@{name}:{port}/postgres")
    }

    /// Where it listens.
    #[allow(dead_code)] // not by every test program that has this file
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }
}
