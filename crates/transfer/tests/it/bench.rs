//! Two centers' stores in temporary directories, a door to the first on a loopback port, and a layer
//! in front of that door that can do harm.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use model::dataset::CHUNK;
use model::{Bytes, CenterId, DatasetId, DatasetVersion, Moment};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use tempfile::TempDir;
use transfer::door::{Door, router};
use transfer::{
    Arrived, Classes, Giver, LocalStore, Pace, Progress, Source, Ticket, TransferError, Verb,
    ticket,
};

pub(crate) const KEY: [u8; 32] = [42; 32];
pub(crate) const NOW: Moment = Moment(1_000_000);
pub(crate) const MIB: usize = 1 << 20;

/// A directory that goes when the test ends, with two stores in it.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) near: LocalStore,
    pub(crate) far: LocalStore,
    /// What the doors said arrived.
    pub(crate) arrived: Arc<Mutex<Vec<DatasetVersion>>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::at(TempDir::new().unwrap())
    }

    /// Where the machine keeps files in memory if it does: thousands of small ones are synced there
    /// in no time.
    pub(crate) fn in_memory() -> Self {
        Self::at(TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap())
    }

    fn at(dir: TempDir) -> Self {
        static CRYPTO: Once = Once::new();
        CRYPTO.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().expect("first and only");
        });
        let open = |name: &str| LocalStore::open(&dir.path().join(name), Bytes::MAX).unwrap().0;
        let (near, far) = (open("near"), open("far"));
        Self { dir, near, far, arrived: Arc::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes files under `name` and imports them into the far store.
    pub(crate) fn put(&self, name: &str, files: &[(&str, &[u8])]) -> DatasetVersion {
        let at = self.path(name);
        write_files(&at, files);
        self.far.import_dir(&dataset(), &at).unwrap().0
    }

    /// The door to a store.
    pub(crate) fn door(&self, store: &LocalStore) -> Router {
        router(self.shaped_door(store, None))
    }

    /// What makes a door to a store with classes of a shaper.
    pub(crate) fn shaped_door(&self, store: &LocalStore, classes: Option<Classes>) -> Door {
        let arrived = Arc::clone(&self.arrived);
        Door {
            store: store.clone(),
            center: center(),
            key: KEY,
            now: Arc::new(|| NOW),
            arrived: Arc::new(move |data, _, _| arrived.lock().unwrap().push(data.clone())),
            classes,
        }
    }

    /// Fetches from the doors at `urls` into the near store as fast as it goes.
    pub(crate) async fn fetch(
        &self,
        urls: &[&str],
        data: &DatasetVersion,
    ) -> Result<Arrived, TransferError> {
        let sources: Vec<Source> = urls.iter().map(|url| source(url, data, Verb::Read)).collect();
        let (pace, progress) = (Pace::unlimited(), Progress::default());
        transfer::fetch(&http(), &Giver::sharing(&sources, &pace), &self.near, data, &progress)
            .await
    }
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn dataset() -> DatasetId {
    "corpus".parse().unwrap()
}

pub(crate) fn center() -> CenterId {
    "delta-1".parse().unwrap()
}

pub(crate) fn good_ticket(data: &DatasetVersion, verb: Verb) -> Ticket {
    Ticket {
        center: center(),
        data: data.clone(),
        verb,
        expires: Moment(NOW.0 + 60_000),
        pace: None,
    }
}

pub(crate) fn source(url: &str, data: &DatasetVersion, verb: Verb) -> Source {
    Source { url: url.to_owned(), ticket: ticket::issue(&KEY, &good_ticket(data, verb)) }
}

/// Serves `router` on a port of its own.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// Bytes nobody chose, the same for the same seed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut noise);
    noise
}

pub(crate) fn write_files(at: &Path, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        let path = at.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Everything below a directory: path, contents, permission bits.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32)> {
    let (mut tree, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let at = entry.unwrap().path();
            if at.is_dir() {
                open.push(at);
            } else {
                let mode = at.metadata().unwrap().permissions().mode() & 0o7777;
                let path = at.strip_prefix(root).unwrap().to_owned();
                tree.insert(path, (fs::read(&at).unwrap(), mode));
            }
        }
    }
    tree
}

/// Flips one bit in the first chunk of answers with chunks, as long as `times` says so.
pub(crate) fn flipping_answers(router: Router, times: u32) -> Router {
    let left = Arc::new(Mutex::new(times));
    router.layer(from_fn(move |request: Request, next: Next| {
        let left = Arc::clone(&left);
        async move {
            let about_chunks = request.uri().path().ends_with("/chunks");
            let response = next.run(request).await;
            if !about_chunks || !take_one(&left) {
                return response;
            }
            let (parts, body) = response.into_parts();
            Response::from_parts(parts, flipped(body).await)
        }
    }))
}

/// The same for what is put; no chunk is damaged twice, whichever request comes first.
pub(crate) fn flipping_requests(router: Router, times: usize) -> Router {
    let damaged: Arc<Mutex<BTreeSet<Vec<u8>>>> = Arc::default();
    router.layer(from_fn(move |request: Request, next: Next| {
        let damaged = Arc::clone(&damaged);
        async move {
            if !request.uri().path().ends_with("/chunks") {
                return next.run(request).await;
            }
            let (parts, body) = request.into_parts();
            let bytes = to_bytes(body, usize::MAX).await.unwrap();
            let is_next = {
                let mut damaged = damaged.lock().unwrap();
                damaged.len() < times && damaged.insert(bytes[..bytes.len().min(64)].to_vec())
            };
            let body = Body::from(bytes);
            let body = if is_next { flipped(body).await } else { body };
            next.run(Request::from_parts(parts, body)).await
        }
    }))
}

fn take_one(left: &Mutex<u32>) -> bool {
    let mut left = left.lock().unwrap();
    let some = *left > 0;
    *left = left.saturating_sub(1);
    some
}

async fn flipped(body: Body) -> Body {
    let mut bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let at = bytes.len().min(usize::try_from(CHUNK.0).unwrap()) / 2;
    bytes[at] ^= 0x10;
    Body::from(bytes)
}

/// Lets `good` requests about chunks pass; those after it never end, and `stuck` hears of them.
pub(crate) fn sticking(router: Router, good: u32, stuck: Arc<tokio::sync::Notify>) -> Router {
    let left = Arc::new(Mutex::new(good));
    router.layer(from_fn(move |request: Request, next: Next| {
        let (left, stuck) = (Arc::clone(&left), Arc::clone(&stuck));
        async move {
            if request.uri().path().ends_with("/chunks") && !take_one(&left) {
                stuck.notify_one();
                std::future::pending::<()>().await;
            }
            next.run(request).await
        }
    }))
}
