//! A store's configuration made into opendal's operator.

use super::config::{Keys, StoreConfig, StoreKind};
use opendal::layers::{ConcurrentLimitLayer, RetryLayer, TimeoutLayer};
use opendal::{Operator, services};
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

/// How many requests one store is asked at once, and how many more may wait their turn.
const REQUESTS: usize = 32;
const WAITING: usize = 1_024;
/// How long a store may take for a question without data, and for one part of a file.
const ANSWER: Duration = Duration::from_secs(20);
const PART: Duration = Duration::from_secs(120);
/// How often an ask is repeated, and how long after the first time; each wait is twice the last.
const RETRIES: usize = 4;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The operator of a store, with its keys, limits, patience and retries; else what is wrong, to be
/// said after the store's name.
pub(super) fn operator(config: &StoreConfig) -> Result<Operator, String> {
    static TRANSPORT: Once = Once::new();
    // Without it opendal compiles, and fails at its first request.
    TRANSPORT.call_once(opendal_http_transport_reqwest::install_default);
    let retry = RetryLayer::new()
        .with_max_times(RETRIES)
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_jitter();
    // In this order: each try has its own time.
    Ok(bare(config)?
        .layer(TimeoutLayer::new().with_timeout(ANSWER).with_io_timeout(PART))
        .layer(retry)
        .layer(ConcurrentLimitLayer::new(WAITING).with_http_concurrent_limit(REQUESTS)))
}

fn bare(config: &StoreConfig) -> Result<Operator, String> {
    let keys = config.keys()?;
    let root = config.root.as_deref().unwrap_or("/");
    let endpoint = config.endpoint.as_deref().unwrap_or_default();
    let bucket = config.bucket.as_deref().unwrap_or_default();
    let built = match (config.kind, keys) {
        (StoreKind::S3, keys) => s3(config, root, bucket, keys),
        (StoreKind::Oss, keys) => {
            let open = services::Oss::default().root(root).bucket(bucket).endpoint(endpoint);
            Operator::new(match keys {
                Some(keys) => open.access_key_id(&keys.access).access_key_secret(&keys.secret),
                None => open.skip_signature(),
            })
        }
        (StoreKind::Obs, Some(keys)) => Operator::new(
            services::Obs::default()
                .root(root)
                .bucket(bucket)
                .endpoint(endpoint)
                .access_key_id(&keys.access)
                .secret_access_key(&keys.secret),
        ),
        (StoreKind::Cos, Some(keys)) => Operator::new(
            services::Cos::default()
                .root(root)
                .bucket(bucket)
                .endpoint(endpoint)
                .secret_id(&keys.access)
                .secret_key(&keys.secret)
                .disable_config_load(),
        ),
        (StoreKind::Obs | StoreKind::Cos, None) => return Err("has no keys".to_owned()),
        (StoreKind::Webdav, keys) => {
            let open = services::Webdav::default().root(root).endpoint(endpoint);
            Operator::new(match keys {
                Some(keys) => open.username(&keys.access).password(&keys.secret),
                None => open,
            })
        }
        (StoreKind::Http, keys) => {
            let open = services::Http::default().root(root).endpoint(endpoint);
            Operator::new(match keys {
                Some(keys) => open.username(&keys.access).password(&keys.secret),
                None => open,
            })
        }
        (StoreKind::Fs, _) => directory(root)?,
    };
    built.map_err(|error| format!("cannot be used: {}", error.message()))
}

/// Keys come from where the configuration says and from nowhere else.
fn s3(
    config: &StoreConfig,
    root: &str,
    bucket: &str,
    keys: Option<Keys>,
) -> opendal::Result<Operator> {
    let region = config.region.as_deref().unwrap_or("us-east-1");
    let mut builder = services::S3::default()
        .root(root)
        .bucket(bucket)
        .region(region)
        .disable_config_load()
        .disable_ec2_metadata();
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint(endpoint);
    }
    Operator::new(match keys {
        Some(keys) => builder.access_key_id(&keys.access).secret_access_key(&keys.secret),
        None => builder.skip_signature(),
    })
}

/// A directory that is not there is a mistake, not one to be made.
fn directory(root: &str) -> Result<opendal::Result<Operator>, String> {
    let at = Path::new(root);
    if !at.is_absolute() || !at.is_dir() {
        return Err(format!("has `root = \"{root}\"`, which is not the full path of a directory"));
    }
    Ok(Operator::new(services::Fs::default().root(root)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::external::config::parse;
    use std::fs;

    /// The address of a read that is signed with keys from files, without asking anybody.
    async fn signed(kind: &str, endpoint: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let (access, secret) = (dir.path().join("access"), dir.path().join("secret"));
        fs::write(&access, "the-access-key\n").unwrap();
        fs::write(&secret, "the-secret-key\n").unwrap();
        let table = format!(
            "[[store]]\nname = 'a'\nkind = '{kind}'\nendpoint = '{endpoint}'\nbucket = 'pail'\n\
             root = 'below'\naccess_key_file = {access:?}\nsecret_key_file = {secret:?}\n"
        );
        let config = parse(&table).unwrap().remove(0);
        let operator = operator(&config).unwrap();
        let debug = format!("{operator:?}");
        assert!(!debug.contains("the-secret-key"), "{debug}");
        let request = operator.presign_read("in/a b", Duration::from_secs(60)).await.unwrap();
        request.uri().to_string()
    }

    #[tokio::test]
    async fn stores_that_cannot_be_run_here_are_asked_by_their_own_addresses_and_signatures() {
        for (kind, endpoint, host, key, signature) in [
            ("s3", "https://s3.example", "https://s3.example/pail", "the-access-key", "X-Amz-Sig"),
            (
                "oss",
                "https://oss.example",
                "https://pail.oss.example",
                "the-access-key",
                "ignature=",
            ),
            (
                "obs",
                "https://obs.cn-east-3.myhuaweicloud.com",
                "https://pail.obs.cn-east-3.myhuaweicloud.com",
                "the-access-key",
                "Signature=",
            ),
            (
                "cos",
                "https://cos.example",
                "https://pail.cos.example",
                "the-access-key",
                "q-signature=",
            ),
        ] {
            let uri = signed(kind, endpoint).await;
            assert!(uri.starts_with(&format!("{host}/below/in/a%20b?")), "{kind}: {uri}");
            assert!(uri.contains(key) && uri.contains(signature), "{kind}: {uri}");
            assert!(!uri.contains("the-secret-key"), "{kind}: {uri}");
        }
    }
}
