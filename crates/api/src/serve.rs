//! Listening: plain on loopback, TLS anywhere.

use axum::Router;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why a server does not listen, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Tokens would cross a network in the clear.
    #[error(
        "{0} is not a loopback address, and without TLS tokens could be read on the way: \
         give a certificate and its key, or listen on 127.0.0.1"
    )]
    Exposed(SocketAddr),
    /// The certificate or its key will not do.
    #[error("{}: {why}", path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The socket failed.
    #[error("cannot serve")]
    Socket(#[from] std::io::Error),
}

/// A certificate chain and its private key, both as PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The chain, the server's own certificate first.
    pub certificates: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Refuses an address where tokens would cross a network in the clear.
pub fn check_exposure(address: SocketAddr, tls: bool) -> Result<(), ServeError> {
    if tls || address.ip().is_loopback() { Ok(()) } else { Err(ServeError::Exposed(address)) }
}

/// Serves `router` until `shutdown`, then gives requests under way `drain` to end.
///
/// # Errors
/// [`ServeError::Exposed`] off loopback without TLS; else what the certificate, key or socket said.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<&Tls>,
    shutdown: CancellationToken,
    drain: Duration,
) -> Result<(), ServeError> {
    check_exposure(listener.local_addr()?, tls.is_some())?;
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let stopping = handle.clone();
    let waits = tokio::spawn(async move {
        shutdown.cancelled().await;
        stopping.graceful_shutdown(Some(drain));
    });
    let service = router.into_make_service();
    let server: Server<_> = axum_server::from_tcp(listener)?;
    let served = match tls {
        None => server.acceptor(NoDelayAcceptor::new()).handle(handle).serve(service).await,
        Some(tls) => {
            let config = RustlsConfig::from_config(Arc::new(config(tls)?));
            let acceptor = RustlsAcceptor::new(config).acceptor(NoDelayAcceptor::new());
            server.acceptor(acceptor).handle(handle).serve(service).await
        }
    };
    waits.abort();
    Ok(served?)
}

fn config(tls: &Tls) -> Result<ServerConfig, ServeError> {
    let wrong = |path: &Path, why: String| ServeError::Tls { path: path.to_owned(), why };
    let read = |path: &Path| std::fs::read(path).map_err(|error| wrong(path, error.to_string()));
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(&tls.certificates)?)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&tls.certificates, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(&tls.certificates, "holds no certificate in PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&tls.key)?)
        .map_err(|error| wrong(&tls.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(&tls.key, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
