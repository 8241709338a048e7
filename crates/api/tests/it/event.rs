//! The event stream.

use crate::bench::{Bench, Events, center, tenant};
use api::Settings;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use model::Role;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn stream(bench: &Bench, role: &Role, path: &str) -> Events {
    bench.events(Bench::request(role, "GET", path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn events_come_from_any_number_on_without_a_gap_or_a_double() {
    let bench = Bench::laptop().await;
    let mut all = stream(&bench, &Role::Operator, "/v1/events?after=0").await;
    let (id, kind, data) = all.next().await.unwrap();
    assert_eq!((id, &*kind, &data["number"]), (1, "network-created", &json!(1)));
    for i in 0..20 {
        bench.submit(&tenant("lab"), &format!("n{i}")).await;
    }
    let (mut last, mut submitted) = (1, 0);
    while submitted < 20 {
        let (id, kind, _) = all.next().await.unwrap();
        assert_eq!(id, last + 1);
        last = id;
        submitted += u32::from(kind == "job-submitted");
    }
    let request = Bench::request(&Role::Operator, "GET", "/v1/events?after=0");
    let request = request.header("last-event-id", (last - 1).to_string());
    let mut resumed = bench.events(request.body(Body::empty()).unwrap()).await;
    let (id, kind, data) = resumed.next().await.unwrap();
    assert_eq!((id, &*kind), (last, "job-submitted"));
    assert_eq!(data["content"]["spec"]["name"], "n19");
}

#[tokio::test]
async fn a_reader_that_lags_behind_reads_the_rest_from_the_log() {
    let bench = Bench::laptop().await;
    let mut slow = stream(&bench, &Role::Operator, "/v1/events?after=0").await;
    assert_eq!(slow.next().await.unwrap().0, 1);
    // Many more batches than the channel holds.
    for i in 0..400 {
        bench.submit(&tenant("lab"), &format!("n{i}")).await;
    }
    let (mut last, mut submitted) = (1, 0);
    while submitted < 400 {
        let (id, kind, _) = slow.next().await.unwrap();
        assert_eq!(id, last + 1);
        last = id;
        submitted += u32::from(kind == "job-submitted");
    }
}

#[tokio::test]
async fn a_tenant_sees_what_names_it_or_its_jobs_and_a_center_what_names_it() {
    let bench = Bench::laptop_with(Settings::default(), 10_000).await;
    let (lab, startup) = (tenant("lab"), tenant("startup"));
    let theirs = bench.submit(&startup, "theirs").await;
    let own = bench.submit(&lab, "own").await;
    for (role, id) in [(&startup, &theirs), (&lab, &own)] {
        bench.post(role, &format!("/v1/jobs/{id}/hold"), json!(null)).await;
        bench.post(role, &format!("/v1/jobs/{id}/cancel"), json!(null)).await;
    }
    let seen = async |path: &str, count: usize| {
        let mut events = stream(&bench, &lab, path).await;
        let mut seen = Vec::new();
        while seen.len() < count {
            let (_, kind, data) = events.next().await.unwrap();
            seen.push((kind, data["subjects"][0].as_str().unwrap().to_owned()));
        }
        seen
    };
    let mine = |kind: &str| (kind.to_owned(), own.clone());
    let whole = seen("/v1/events?after=0", 5).await;
    assert_eq!(whole[0], ("tenant-declared".to_owned(), "tenant:lab".to_owned()));
    let rest = [mine("job-submitted"), mine("job-held"), mine("job-canceled"), mine("job-ended")];
    assert_eq!(whole[1..], rest);
    // From the middle on, whose a job is must be looked up.
    let log = bench.get(&Role::Operator, "/v1/log?limit=1000").await.json();
    let records = log["records"].as_array().unwrap();
    let held =
        records.iter().find(|r| r["kind"] == "job-held").unwrap()["number"].as_u64().unwrap();
    assert_eq!(seen(&format!("/v1/events?after={}", held - 1), 3).await, rest[1..]);

    let mut events = stream(&bench, &center("lingang"), "/v1/events?after=0").await;
    let (_, kind, data) = events.next().await.unwrap();
    assert_eq!((&*kind, &data["subjects"]), ("center-declared", &json!(["center:lingang"])));
}

#[tokio::test]
async fn a_browser_may_give_its_token_in_the_query_here_and_nowhere_else() {
    let bench = Bench::laptop().await;
    let secret = crate::bench::secret(&Role::Operator);
    let request = Request::get(format!("/v1/events?after=0&token={secret}"));
    let mut events = bench.events(request.body(Body::empty()).unwrap()).await;
    assert_eq!(events.next().await.unwrap().0, 1);
    let elsewhere =
        Request::get(format!("/v1/centers?token={secret}")).body(Body::empty()).unwrap();
    assert_eq!(bench.send(elsewhere).await.status, StatusCode::UNAUTHORIZED);
    let wrong = Request::get("/v1/events?token=ptl_0").body(Body::empty()).unwrap();
    assert_eq!(bench.send(wrong).await.status, StatusCode::UNAUTHORIZED);
    let bad = Bench::request(&Role::Operator, "GET", "/v1/events").header("last-event-id", "x");
    assert_eq!(bench.send(bad.body(Body::empty()).unwrap()).await.problem(), "malformed");
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams_and_takes_no_more_than_it_serves() {
    let settings = Settings { max_streams: 1, ..Settings::default() };
    let bench = Bench::laptop_with(settings, 100).await;
    let mut events = stream(&bench, &Role::Operator, "/v1/events?after=0").await;
    assert!(events.next().await.is_some());
    let second = bench.get(&Role::Operator, "/v1/events").await;
    assert_eq!((second.status, &*second.problem()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
    bench.settings.shutdown.cancel();
    while events.next().await.is_some() {}
    let ready = bench.send(Request::get("/readyz").body(Body::empty()).unwrap()).await;
    assert_eq!(ready.problem(), "stopping");
}

#[tokio::test]
async fn a_server_stops_though_streams_are_open() {
    let bench = Bench::laptop().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, drain) = (bench.settings.shutdown.clone(), Duration::from_secs(60));
    let router = bench.router.clone();
    let served =
        tokio::spawn(
            async move { api::serve::serve(listener, router, None, shutdown, drain).await },
        );
    let mut reader = tokio::net::TcpStream::connect(address).await.unwrap();
    let secret = crate::bench::secret(&Role::Operator);
    let request = format!("GET /v1/events?after=0&token={secret} HTTP/1.1\r\nhost: x\r\n\r\n");
    reader.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    reader.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    bench.settings.shutdown.cancel();
    // The stream ends, and so does the server, long before the drain would cut it off.
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream ended in order");
    served.await.unwrap().unwrap();
}
