//! The network, its data, its log and the documents about all of it.

use crate::bench::{Bench, center, tenant};
use api::Settings;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use model::fact::{GENESIS, extend};
use model::{Digest, Role};
use serde_json::json;

#[tokio::test]
async fn a_network_file_is_applied_once_and_a_bad_one_refused_with_its_lines() {
    let bench = Bench::laptop().await;
    let put = async |text: &str, kind: &str| {
        let request = Bench::request(&Role::Operator, "PUT", "/v1/network")
            .header(header::CONTENT_TYPE, kind);
        bench.send(request.body(Body::from(text.to_owned())).unwrap()).await
    };
    let laptop = include_str!("../../../../catalog/networks/laptop.toml");
    let again = put(laptop, "application/toml").await;
    assert_eq!(again.json(), json!({"changed": 0}), "{}", again.text());
    let bad = put(&laptop.replace("5 Gbit/s", "5 Gbit"), "application/toml; charset=utf-8").await;
    assert_eq!((bad.status.as_u16(), &*bad.problem()), (422, "invalid"));
    let error = &bad.json()["errors"][0];
    assert!(error["at"].as_str().unwrap().starts_with("network:"), "{error}");
    assert!(error["expected"].as_str().unwrap().contains("Gbit/s"), "{error}");
    assert_eq!(put("[[center]", "application/toml").await.problem(), "invalid");
    assert_eq!(put(laptop, "text/html").await.problem(), "media-type");
}

#[tokio::test]
async fn links_exchanges_chips_and_tenants_are_listed() {
    let bench = Bench::laptop().await;
    let lab = tenant("lab");
    let links = bench.get(&lab, "/v1/links").await.json();
    assert_eq!(links["links"][0]["a"], json!({"kind": "center", "name": "kunshan"}));
    assert_eq!(links["links"][0]["capacity_bps"], 1_000_000_000_u64);
    assert_eq!(links["links"][0]["booked_forward_bps"], 0);
    assert_eq!(bench.get(&lab, "/v1/exchanges").await.json()["exchanges"][0]["exchange"], "sh-ixp");
    assert_eq!(bench.get(&lab, "/v1/chips").await.json()["chips"].as_array().unwrap().len(), 3);
    let own = bench.get(&lab, "/v1/tenants").await.json();
    assert_eq!(own["tenants"].as_array().unwrap().len(), 1, "{own}");
    let all = bench.get(&Role::Operator, "/v1/tenants").await.json();
    assert!(all["tenants"].as_array().unwrap().len() > 2);
}

#[tokio::test]
async fn data_is_announced_opened_and_removed() {
    let bench = Bench::laptop().await;
    let lab = tenant("lab");
    let version = Digest::of(b"manifest").to_string();
    let announced = json!({"dataset": "nodes", "version": version, "bytes": 5, "files": 1,
        "center": "lingang", "residency": ["cn"]});
    let ticket = bench.post(&lab, "/v1/datasets", announced.clone()).await;
    assert_eq!(ticket.status, StatusCode::CREATED, "{}", ticket.text());
    assert_eq!(ticket.json()["ticket"], "lingang nodes true");
    assert_eq!(bench.get(&lab, "/v1/datasets/nodes/ticket").await.problem(), "not-found");

    let join = json!({
        "protocol": wire::PROTOCOL, "version": "0", "agent": "0101010101010101", "engine": "process",
        "engine_version": "1", "enforcement": "none", "data_url": null, "seen": null
    });
    let agent = center("lingang");
    let session = bench.post(&agent, "/v1/agent/join", join).await.json()["session"].clone();
    let put =
        json!({"put": {"data": {"dataset": "nodes", "version": version}, "bytes": 5, "files": 1}});
    let reports = json!({"session": session, "reports": [put]});
    assert_eq!(bench.post(&agent, "/v1/agent/reports", reports).await.status, StatusCode::OK);
    let shown = bench.get(&tenant("startup"), "/v1/datasets/nodes").await.json();
    assert_eq!(shown["versions"][0]["replicas"], json!(["lingang"]));
    let ticket = bench.get(&tenant("startup"), "/v1/datasets/nodes/ticket").await.json();
    assert_eq!(ticket["ticket"], "lingang nodes false");
    let elsewhere = bench.get(&lab, "/v1/datasets/nodes/ticket?center=kunshan").await;
    assert_eq!(elsewhere.problem(), "not-found");

    let stolen = bench.post(&tenant("startup"), "/v1/datasets", announced).await;
    assert_eq!(stolen.problem(), "forbidden");
    assert_eq!(
        bench.ask(&lab, "DELETE", "/v1/datasets/nodes", None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(bench.get(&lab, "/v1/datasets/nodes").await.problem(), "not-found");
}

#[tokio::test]
async fn the_log_can_be_read_and_its_chain_checked() {
    let bench = Bench::laptop().await;
    let first = bench.get(&Role::Operator, "/v1/log?limit=2").await.json();
    assert_eq!(first["records"][0]["kind"], "network-created");
    assert_eq!((&first["records"][1]["number"], &first["next"]), (&json!(2), &json!(2)));
    let heads = bench.get(&center("lingang"), "/v1/log/heads").await;
    let digests = heads.body.chunks(32).map(|d| Digest::from_bytes(d.try_into().unwrap()));
    let head = digests.fold(GENESIS, |head, header| extend(&head, &header));
    assert_eq!(heads.headers["portolan-head-digest"], head.to_string());
    assert_eq!(heads.headers["portolan-head-number"], (heads.body.len() / 32).to_string());
    let rest = bench.get(&center("lingang"), "/v1/log/heads?after=2&limit=1").await;
    assert_eq!(Digest::from_bytes(rest.body.try_into().unwrap()).to_string().len(), 64);
}

#[tokio::test]
async fn the_openapi_document_names_every_schema_it_refers_to() {
    let bench = Bench::empty(Settings::default(), 10);
    let request = Request::get("/v1/openapi.json").body(Body::empty()).unwrap();
    let document = bench.send(request).await.json();
    assert_eq!(document["info"]["title"], "Portolan");
    assert_eq!(document["openapi"].as_str().map(|v| v.starts_with("3.1")), Some(true));
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        let known: Vec<_> = document["components"]["schemas"].as_object().unwrap().keys().collect();
        assert!(document["components"]["schemas"][name].is_object(), "{name} {known:?}");
    }
    let job = &document["paths"]["/v1/jobs/{job}"]["get"];
    assert_eq!(job["operationId"], "get_job");
    assert!(job["responses"]["default"]["content"]["application/problem+json"].is_object());
    assert_eq!(document["paths"]["/healthz"]["get"]["security"], json!([{}]));
}

#[tokio::test]
async fn without_its_dashboard_the_server_says_how_to_build_it() {
    let bench = Bench::empty(Settings::default(), 10);
    let page = bench.send(Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(page.text().contains("Portolan"));
}

#[tokio::test]
async fn a_large_answer_is_packed_and_a_small_one_is_not() {
    let bench = Bench::laptop().await;
    let packed = async |path: &str| {
        let request =
            Bench::request(&Role::Operator, "GET", path).header(header::ACCEPT_ENCODING, "gzip");
        let answer = bench.send(request.body(Body::empty()).unwrap()).await;
        answer.headers.contains_key(header::CONTENT_ENCODING)
    };
    assert!(packed("/v1/openapi.json").await);
    assert!(!packed("/v1/exchanges").await);
}

#[tokio::test]
async fn off_loopback_there_is_no_serving_without_tls() {
    let open = "0.0.0.0:0".parse().unwrap();
    let refused = api::serve::check_exposure(open, false).unwrap_err().to_string();
    assert!(refused.contains("TLS") && refused.contains("127.0.0.1"), "{refused}");
    assert!(api::serve::check_exposure(open, true).is_ok());
    assert!(api::serve::check_exposure("127.0.0.1:0".parse().unwrap(), false).is_ok());
    assert!(api::serve::check_exposure("[::1]:0".parse().unwrap(), false).is_ok());
}
