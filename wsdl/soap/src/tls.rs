//! What is wrong when TLS fails: whose fault it is and what to do, instead of the name of an alert.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription as Alert, CertificateError};

/// Why there is no TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The chain of the server's certificate ends nowhere that we trust.
    #[error(
        "nobody whom we trust has signed the server's certificate; trust its authority's, or the certificate itself"
    )]
    UnknownAuthority,
    /// The server's certificate is for another host.
    #[error(
        "the server's certificate is for another name; correct the URL, have the certificate mended, or trust it itself"
    )]
    WrongName,
    /// The server's certificate isn't good now.
    #[error(
        "the server's certificate has expired or isn't good yet; have it renewed, or set our clock right"
    )]
    Expired,
    /// The server's certificate has another fault.
    #[error("the server's certificate can't be used; have it mended, or trust it itself")]
    BadCertificate,
    /// No version of TLS, or no cipher, that both allow.
    #[error(
        "no version of TLS that both sides allow; allow what the server speaks, or have the server brought up to date"
    )]
    NoCommonVersion,
    /// The server wants a certificate of ours.
    #[error("the server wants a client certificate; give one that it accepts")]
    ClientCertificateWanted,
    /// The server doesn't take our certificate.
    #[error("the server doesn't accept our client certificate; give another, or have it accepted there")]
    ClientCertificateRefused,
    /// The server has broken the handshake off, and doesn't say more.
    #[error(
        "the server refuses the handshake; it may want a client certificate, or another version of TLS or cipher"
    )]
    Refused,
    /// Something else answers there.
    #[error("what answers there doesn't speak TLS; correct the URL or its port")]
    NotTls,
}

/// A connection that came to nothing for a [`Trouble`] of TLS; what the library says is its source.
///
/// It comes inside [`crate::NotSent`]: no request is carried out before the handshake is through.
#[derive(Debug)]
pub struct TlsError {
    /// What is wrong.
    pub trouble: Trouble,
    pub(crate) source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for TlsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trouble.fmt(formatter)
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

impl Trouble {
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        trouble(error)
    }

    /// Whether it comes when the request is written already, and yet wasn't read: in TLS 1.3 a server looks at our certificate
    /// only after we may write.
    pub(crate) fn comes_late(self) -> bool {
        matches!(self, Trouble::ClientCertificateWanted | Trouble::ClientCertificateRefused)
    }
}

fn trouble(error: &(dyn Error + 'static)) -> Option<Trouble> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return known(error);
    }
    // an I/O error's source is the source of what it holds, not what it holds
    if let Some(held) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return trouble(held).or_else(|| told(held));
    }
    trouble(error.source()?)
}

fn known(error: &rustls::Error) -> Option<Trouble> {
    use CertificateError as Certificate;
    Some(match error {
        rustls::Error::InvalidCertificate(error) => match error {
            Certificate::UnknownIssuer => Trouble::UnknownAuthority,
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => Trouble::WrongName,
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. } => Trouble::Expired,
            _ => Trouble::BadCertificate,
        },
        rustls::Error::AlertReceived(alert) => return alerted(*alert),
        rustls::Error::PeerIncompatible(_) => Trouble::NoCommonVersion,
        rustls::Error::InvalidMessage(_) => Trouble::NotTls,
        _ => return None,
    })
}

fn alerted(alert: Alert) -> Option<Trouble> {
    Some(match alert {
        Alert::ProtocolVersion | Alert::InsufficientSecurity => Trouble::NoCommonVersion,
        Alert::CertificateRequired | Alert::NoCertificate => Trouble::ClientCertificateWanted,
        Alert::HandshakeFailure => Trouble::Refused,
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA => Trouble::ClientCertificateRefused,
        _ => return None,
    })
}

/// An alert that comes late comes as text only.
fn told(error: &(dyn Error + 'static)) -> Option<Trouble> {
    const ALERTS: [Alert; 7] = [
        Alert::CertificateRequired,
        Alert::BadCertificate,
        Alert::UnsupportedCertificate,
        Alert::CertificateRevoked,
        Alert::CertificateExpired,
        Alert::CertificateUnknown,
        Alert::UnknownCA,
    ];
    let text = error.to_string();
    let same = |alert: &Alert| text == rustls::Error::AlertReceived(*alert).to_string();
    ALERTS.into_iter().find(same).and_then(alerted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_says_is_found_however_deep_and_however_told() {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let deep = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, unknown));
        assert_eq!(trouble(&deep), Some(Trouble::UnknownAuthority));
        let alert = rustls::Error::AlertReceived(Alert::CertificateRequired);
        assert_eq!(trouble(&io::Error::other(alert.to_string())), Some(Trouble::ClientCertificateWanted));
        assert_eq!(trouble(&io::Error::other(alert)), Some(Trouble::ClientCertificateWanted));
        assert_eq!(trouble(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
        assert_eq!(trouble(&io::Error::other("received fatal alert: nonsense")), None);
    }
}
