//! Connections: few of them, shared; each verb borrows one, and one that was left in the middle of something is closed.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures::future::{join_all, try_join};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Notification, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresSettings;
use super::fault::{Fault, is_cut};
use crate::chain::chain;
use crate::store::StoreError;

/// The values of a statement.
pub(super) type Values<'v> = &'v [&'v (dyn ToSql + Sync)];

/// The way to the database.
#[derive(Debug, Clone)]
pub(super) struct Db {
    pool: Pool,
    tries: u32,
    verb_max: Duration,
}

/// How connections are made.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    /// How long a connection may take until it can be used.
    patience: Duration,
}

impl Address {
    pub(super) fn new(settings: &PostgresSettings) -> Result<Self, StoreError> {
        if !is_name(&settings.schema) {
            return Err(StoreError::Failed(format!(
                "{:?} is no name for a schema: at most 63 small letters, digits and `_`, no digit first",
                settings.schema
            )));
        }
        let tls = MakeRustlsConnect::new(tls(settings)?);
        Ok(Self { config: config(settings)?, tls, patience: settings.connect_timeout })
    }
}

impl Address {
    /// A connection outside of the pool; a task of its own drives it until it is dropped.
    pub(super) async fn connect(&self) -> Result<Client, StoreError> {
        self.connect_and_hear(|_| {}).await
    }

    /// The same, and what is called on the channels that it listens on.
    pub(super) async fn connect_and_hear(
        &self,
        hear: impl Fn(Notification) + Send + 'static,
    ) -> Result<Client, StoreError> {
        // the configuration's own limit is for the way to the server; one that doesn't answer then would be waited for
        let connected = tokio::time::timeout(self.patience, self.config.connect(self.tls.clone())).await;
        let (client, mut connection) =
            connected.map_err(|_| StoreError::Unavailable)?.map_err(Fault::from)?;
        holds_all_text(connection.parameter("server_encoding"))?;
        tokio::spawn(async move {
            while let Some(message) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    Ok(AsyncMessage::Notification(call)) => hear(call),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(error = chain(&error), "a connection to the database has ended");
                        return;
                    }
                }
            }
        });
        Ok(client)
    }
}

/// What was delivered and couldn't be put down for a letter in it would be delivered for ever.
fn holds_all_text(encoding: Option<&str>) -> Result<(), StoreError> {
    match encoding {
        Some("UTF8") | None => Ok(()),
        Some(other) => Err(StoreError::Failed(format!(
            "the encoding of the database is {other}, which can't hold all text: create one with ENCODING 'UTF8'"
        ))),
    }
}

/// It is put into statements as it is.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || byte.is_ascii_digit())
        && name.bytes().next().is_some_and(plain)
}

fn config(settings: &PostgresSettings) -> Result<Config, StoreError> {
    let url = settings.url.expose_secret();
    let wrong = |what: String| StoreError::Failed(format!("the URL of the database: {what}"));
    // Certificates and names are always checked here; libpq has a word of its own for that.
    let plain = url.replace("sslmode=verify-full", "sslmode=require");
    // The parser's words name the option, never its value.
    let mut config: Config = plain.parse().map_err(|error| wrong(chain(&error)))?;
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    if !url.contains("sslmode=") && !config.get_hosts().iter().all(is_local) {
        config.ssl_mode(SslMode::Require);
    }
    if !url.contains("target_session_attrs=") {
        // of several hosts one may follow another; and the name of one may lead to where the other was
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    let millis = |time: Duration| time.as_millis();
    let mut options = config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
    options.push_str(&format!(
        "-c search_path={schema} -c synchronous_commit=on -c default_transaction_isolation=read\\ committed \
         -c statement_timeout={statement} -c lock_timeout={lock} -c idle_in_transaction_session_timeout={lease} \
         -c jit=off -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c client_encoding=UTF8",
        schema = settings.schema,
        statement = millis(settings.verb_max),
        lock = millis(settings.patience),
        // one that is frozen in the middle must not hold what others wait for any longer than its lease
        lease = millis(settings.lease),
    ));
    config.options(options);
    config.connect_timeout(settings.connect_timeout);
    config.tcp_user_timeout(settings.verb_max);
    config.keepalives(true).keepalives_idle(settings.lease);
    if config.get_application_name().is_none() {
        config.application_name("soapstone");
    }
    Ok(config)
}

fn tls(settings: &PostgresSettings) -> Result<rustls::ClientConfig, StoreError> {
    let failed = |error: String| StoreError::Failed(format!("TLS to the database: {error}"));
    let mut own = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&settings.ca_pem) {
        own.push(certificate.map_err(|error| failed(error.to_string()))?);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(own, Arc::clone(&provider))
        .map_err(|error| failed(error.to_string()))?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .dangerous() // says only that the verifier is named; it is the system's, with our own certificates besides
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

impl Db {
    pub(super) fn new(address: &Address, settings: &PostgresSettings) -> Result<Self, StoreError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(address.config.clone(), address.tls.clone(), recycling);
        let pool = Pool::builder(manager)
            .max_size(settings.connections.max(2))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.patience))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.connect_timeout))
            .build()
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Self { pool, tries: settings.tries.max(1), verb_max: settings.verb_max })
    }

    pub(super) async fn session(&self) -> Result<Session, Fault> {
        Ok(Session { object: Some(self.pool.get().await?), begins: None, open: false })
    }

    /// Does something, and does it again a bounded number of times if that may help; `safe`: if it makes no difference
    /// whether it had worked already.
    pub(super) async fn again<T, F>(&self, safe: bool, once: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut tries = 1;
        loop {
            let Ok(ended) = tokio::time::timeout(self.verb_max, once()).await else {
                return Err(StoreError::Unavailable);
            };
            match ended {
                Ok(done) => return Ok(done),
                Err(fault) if tries < self.tries && fault.may_pass(safe) => {
                    tracing::debug!(?fault, tries, "the database is asked again");
                    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
                    tokio::time::sleep(Duration::from_millis((10 + jitter / 8) << tries.min(6))).await;
                    tries += 1;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// A connection for a while.
pub(super) struct Session {
    object: Option<Object>,
    /// The next statement begins a transaction, in this way.
    begins: Option<&'static str>,
    /// It is in the middle of one.
    open: bool,
}

impl Deref for Session {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.object.as_ref().expect("it is there until it is dropped")
    }
}

/// What is left in the middle can't be used by others.
impl Drop for Session {
    fn drop(&mut self) {
        if self.open
            && let Some(object) = self.object.take()
        {
            drop(Object::take(object));
        }
    }
}

impl Session {
    /// The next statement begins a transaction.
    pub(super) fn begin(&mut self) {
        self.begins = Some("BEGIN");
        self.open = true;
    }

    /// The same, where several statements are to see one state of things, and change nothing.
    pub(super) fn begin_to_look(&mut self) {
        self.begins = Some("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        self.open = true;
    }

    /// Asks. Outside of a transaction: something that changes nothing.
    pub(super) async fn rows(&mut self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
        let statement = self.prepare_cached(sql).await?;
        if let Some(begin) = self.begins.take() {
            // sent together, in this order
            let (_, rows) = try_join(self.batch_execute(begin), self.query(&statement, values)).await?;
            return Ok(rows);
        }
        Ok(self.query(&statement, values).await?)
    }

    /// One row at most.
    pub(super) async fn row(&mut self, sql: &str, values: Values<'_>) -> Result<Option<Row>, Fault> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// A change that is a transaction by itself; answers how many rows.
    pub(super) async fn write(&mut self, sql: &str, values: Values<'_>) -> Result<u64, Fault> {
        let statement = self.prepare_cached(sql).await?;
        self.execute(&statement, values).await.map_err(uncertain)
    }

    /// The same, with what it answers.
    pub(super) async fn write_rows(&mut self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
        let statement = self.prepare_cached(sql).await?;
        self.query(&statement, values).await.map_err(uncertain)
    }

    /// Sends the rest of a transaction and its end together.
    pub(super) async fn commit(mut self, rest: &[(&str, Values<'_>)]) -> Result<(), Fault> {
        if let Some(begin) = self.begins.take() {
            self.batch_execute(begin).await?;
        }
        let mut statements = Vec::with_capacity(rest.len());
        for (sql, values) in rest {
            statements.push((self.prepare_cached(sql).await?, *values));
        }
        let sent = join_all(statements.iter().map(|(statement, values)| self.execute(statement, values)));
        // Should one fail, the end rolls back.
        let (done, ended) = futures::future::join(sent, self.batch_execute("COMMIT")).await;
        if let Some(error) = done.into_iter().filter_map(Result::err).next() {
            return Err(if is_cut(&error) { Fault::Uncertain(error) } else { Fault::Database(error) });
        }
        ended.map_err(uncertain)?;
        self.open = false;
        Ok(())
    }
}

/// An error of a commit: the server's word is that it failed, silence can mean anything.
fn uncertain(error: tokio_postgres::Error) -> Fault {
    match error.code() {
        // shutting down: said before or after
        Some(code) if code.code().starts_with("57P") || code.code().starts_with("08") => {
            Fault::Uncertain(error)
        }
        None if is_cut(&error) => Fault::Uncertain(error),
        _ => Fault::Database(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_put_into_statements() {
        for good in ["soapstone", "_a", "a1"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "1a", "a b", "a\"b", "A", "ä", &"a".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    fn mode(url: &str) -> SslMode {
        let settings = PostgresSettings::new(url);
        config(&settings).expect("a configuration").get_ssl_mode()
    }

    #[test]
    fn nothing_leaves_this_machine_in_the_clear_unless_it_is_asked_for() {
        assert_eq!(mode("postgres://u:p@db.example/x"), SslMode::Require);
        assert_eq!(mode("postgres://u:p@db.example/x?sslmode=verify-full"), SslMode::Require);
        assert_eq!(mode("postgres://u:p@db.example/x?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://u:p@localhost/x"), SslMode::Prefer);
        assert_eq!(mode("host=/run/postgresql user=u"), SslMode::Prefer);
    }
}
