//! An API server with troubles that a real one cannot be made to have in a test. What it says is written by
//! hand, after Kubernetes' documentation of its API.

use super::PATIENCE;
use super::control_plane::until;
use super::scenarios::{PREFIX, config, enter, enter_in, name};
use engines::Error;
use engines::batch::{Open, Queue};
use engines::kubernetes::{Kubernetes, KubernetesConfig, KubernetesTenant};
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use kube::client::retry::RetryPolicy;
use model::TenantId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::retry::RetryLayer;
use tower::{BoxError, ServiceBuilder};

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// An answer; one that goes on for ever where nothing more is to come of a watch.
fn answer(status: u16, said: &Value, goes_on: bool) -> Answer {
    let said = Frame::data(Bytes::from(format!("{said}\n")));
    let first = stream::iter([Ok::<_, BoxError>(said)]);
    let body = match goes_on {
        true => StreamBody::new(futures::StreamExt::chain(first, stream::pending())).boxed_unsync(),
        false => StreamBody::new(first).boxed_unsync(),
    };
    Response::builder().status(status).header("retry-after", "0").body(body).unwrap()
}

fn failure(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": reason,
        "reason": reason,
        "code": code,
    })
}

/// A client of an API server that answers so: by method, path and query, and how often it was asked.
fn client(says: impl Fn(&str, usize) -> Option<Answer> + Send + Sync + 'static) -> Client {
    let count = Arc::new(AtomicUsize::new(0));
    let says = Arc::new(says);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (says, count) = (Arc::clone(&says), Arc::clone(&count));
        async move {
            let what = format!("{} {}", request.method(), request.uri());
            let said = says(&what, count.fetch_add(1, Ordering::Relaxed));
            Ok::<_, BoxError>(said.unwrap_or_else(|| ordinary(&what)))
        }
    });
    let patient = RetryPolicy::new(Duration::from_millis(1), PATIENCE, 5, true).unwrap();
    Client::new(ServiceBuilder::new().layer(RetryLayer::new(patient)).service(service), "default")
}

/// What it says when all is well, and there is nothing.
fn ordinary(what: &str) -> Answer {
    if what.contains("/version") {
        let version = json!({
            "major": "1", "minor": "34", "gitVersion": "v1.34.0", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": "",
        });
        return answer(200, &version, false);
    }
    if what.contains("watch=true") {
        let (kind, of) = if what.contains("/jobs") { ("Job", "batch/v1") } else { ("Pod", "v1") };
        let at = json!({ "resourceVersion": "2", "creationTimestamp": null });
        let mark = json!({ "kind": kind, "apiVersion": of, "metadata": at });
        return answer(200, &json!({ "type": "BOOKMARK", "object": mark }), true);
    }
    let kind = if what.contains("/jobs") { "JobList" } else { "PodList" };
    answer(200, &list(kind, &json!([])), false)
}

fn list(kind: &str, items: &Value) -> Value {
    json!({ "kind": kind, "items": items, "metadata": { "resourceVersion": "1" } })
}

async fn queue(client: Client) -> Kubernetes {
    Kubernetes::at(client, config("default", "10m"), Path::new("/shared/portolan")).await.unwrap()
}

#[tokio::test]
async fn a_history_that_is_gone_is_listed_anew() {
    let lists = Arc::new(AtomicUsize::new(0));
    let job = json!([{ "metadata": {
        "name": name(1), "namespace": "default", "uid": "1-2-3",
        "labels": { "app.kubernetes.io/managed-by": "portolan" },
    } }]);
    let queue = queue(client(move |what, _| {
        if !what.contains("/jobs") || !what.contains("labelSelector") {
            return None;
        }
        if what.contains("watch=true") {
            let gone = json!({ "type": "ERROR", "object": failure(410, "Expired") });
            return (lists.load(Ordering::Relaxed) < 2).then(|| answer(200, &gone, false));
        }
        // It appears only when it is listed once more.
        let again = lists.fetch_add(1, Ordering::Relaxed) > 0;
        again.then(|| answer(200, &list("JobList", &job), false))
    }))
    .await;
    let found = until("it is listed anew", async || {
        queue.active(PREFIX).await.ok().filter(|entries| !entries.is_empty())
    });
    assert_eq!(found.await[0].number, "1-2-3");
}

#[tokio::test]
async fn what_is_too_much_now_is_tried_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&tries);
    let queue = queue(client(move |what, _| {
        let is_early = what.starts_with("POST") && tries.fetch_add(1, Ordering::Relaxed) < 2;
        if is_early {
            return Some(answer(429, &failure(429, "TooManyRequests"), false));
        }
        what.starts_with("POST").then(|| answer(422, &failure(422, "Invalid"), false))
    }))
    .await;
    let last = enter(&queue, &name(1), 1, 0).await;
    assert!(matches!(&last, Err(Error::Rejected { said, .. }) if said == "Invalid"), "{last:?}");
    assert_eq!(seen.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_is_not_answered_says_nothing() {
    let queue = queue(client(|what, _| {
        let is_asked = what.starts_with("POST") || what.contains("/jobs/");
        is_asked.then(|| answer(500, &failure(500, "InternalError"), false))
    }))
    .await;
    let entered = enter(&queue, &name(1), 1, 0).await;
    assert!(matches!(&entered, Err(error) if error.is_transient()), "{entered:?}");
    assert!(queue.named(&name(1)).await.is_err(), "it may be there");
}

#[tokio::test]
async fn a_watch_that_fails_is_told() {
    let queue = queue(client(|what, _| {
        let is_list = what.contains("labelSelector") && what.contains("/pods");
        is_list.then(|| answer(403, &failure(403, "Forbidden"), false))
    }))
    .await;
    let told = queue.active(PREFIX).await;
    assert!(
        matches!(&told, Err(Error::Silent { said, .. }) if said.contains("Forbidden")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_tenant_s_jobs_are_in_its_own_namespace() {
    let job = |namespace: &str| {
        let mut job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": {
            "name": name(1), "namespace": namespace, "uid": namespace, "resourceVersion": "1",
            "labels": { "app.kubernetes.io/managed-by": "portolan" },
        } });
        let limits = json!({ "huawei.com/Ascend910": "8" });
        let container = json!({ "name": "attempt", "resources": { "limits": limits } });
        let pod = json!({ "spec": { "containers": [container] } });
        job["spec"] = json!({ "parallelism": 1, "template": pod });
        job
    };
    // Where it is: it is there from when it is made, and until it is deleted there.
    let (place, asked) = (Arc::new(Mutex::new(None::<String>)), Arc::new(Mutex::new(Vec::new())));
    let (seen, is_in) = (Arc::clone(&asked), Arc::clone(&place));
    let client = client(move |what, _| {
        let (_, rest) = what.split_once("/namespaces/")?;
        let (namespace, rest) = rest.split_once('/')?;
        if !rest.starts_with("jobs/") && !what.starts_with("POST") {
            return None;
        }
        let mut place = is_in.lock().unwrap();
        let method = what.split(' ').next().unwrap();
        seen.lock().unwrap().push(format!("{method} {namespace}"));
        if method == "POST" {
            *place = Some(namespace.to_owned());
        }
        if place.as_deref() != Some(namespace) {
            return Some(answer(404, &failure(404, "NotFound"), false));
        }
        if method == "DELETE" {
            *place = None;
        }
        Some(answer(200, &job(namespace), false))
    });
    let own: KubernetesTenant = toml::from_str("namespace = 'of-fudan'").unwrap();
    let [fudan, tongji] = ["fudan", "tongji"].map(|name| TenantId::new(name).unwrap());
    let tenants = BTreeMap::from([(fudan.clone(), own)]);
    let config = KubernetesConfig { tenants, ..config("default", "10m") };
    let queue = Kubernetes::at(client, config, Path::new("/shared/portolan")).await.unwrap();
    for (tenant, namespace) in [(&fudan, "of-fudan"), (&tongji, "default")] {
        asked.lock().unwrap().clear();
        let entry = enter_in(&queue, "train", Some(tenant), &name(1), 1, 8).await.unwrap();
        assert_eq!(entry.number, namespace);
        assert_eq!(*asked.lock().unwrap(), [format!("POST {namespace}")]);
        assert_eq!(queue.named(&name(1)).await.unwrap()[0].number, namespace);
        queue.cancel(&entry).await.unwrap();
        assert_eq!(*place.lock().unwrap(), None);
        assert_eq!(queue.named(&name(1)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_namespace_that_cannot_be_looked_into_says_nothing_of_its_own_and_hides_no_other() {
    // Rights may go while what was listed before is still watched.
    for is_listed in [false, true] {
        look_beside_a_closed_namespace(is_listed).await;
    }
}

async fn look_beside_a_closed_namespace(is_listed: bool) {
    let job = json!([{ "metadata": {
        "name": name(1), "namespace": "default", "uid": "1-2-3",
        "labels": { "app.kubernetes.io/managed-by": "portolan" },
    } }]);
    let client = client(move |what, _| {
        let is_asked = !is_listed || what.contains("/jobs/") || what.starts_with("POST");
        if what.contains("/namespaces/of-fudan/") && is_asked {
            return Some(answer(403, &failure(403, "Forbidden"), false));
        }
        if what.contains("/jobs/") {
            return Some(answer(404, &failure(404, "NotFound"), false));
        }
        let is_list = what.contains("/default/jobs?") && what.contains("labelSelector");
        let lists = is_list && !what.contains("watch=true");
        lists.then(|| answer(200, &list("JobList", &job), false))
    });
    let own: KubernetesTenant = toml::from_str("namespace = 'of-fudan'").unwrap();
    let fudan = TenantId::new("fudan").unwrap();
    let tenants = BTreeMap::from([(fudan.clone(), own)]);
    let config = KubernetesConfig { tenants, ..config("default", "10m") };
    let queue = Kubernetes::at(client, config, Path::new("/shared/portolan")).await.unwrap();
    let open = |job: u32| Open { name: name(job), number: "1-2-3".to_owned(), is_heard: false };
    let seen = queue.look(PREFIX, &[open(1), open(2)]).await.unwrap();
    assert_eq!(seen.entries.iter().map(|entry| &entry.name).collect::<Vec<_>>(), [&name(1)]);
    assert_eq!(seen.unasked.into_iter().collect::<Vec<_>>(), [name(2)]);
    let entered = enter_in(&queue, "train", Some(&fudan), &name(3), 1, 8).await;
    assert!(matches!(&entered, Err(Error::Rejected { said, .. }) if said == "Forbidden"));
}

#[tokio::test]
async fn nodes_that_take_work_are_counted_as_they_change() {
    let node = |name: &str, is_ready: &str, is_closed: bool| {
        json!({
            "metadata": { "name": name, "labels": { "pool": "train" }, "resourceVersion": "2" },
            "spec": { "unschedulable": is_closed },
            "status": {
                "capacity": { "cpu": "64", "huawei.com/Ascend910": "8" },
                "allocatable": { "cpu": "64", "huawei.com/Ascend910": "8" },
                "conditions": [{ "type": "Ready", "status": is_ready }],
            },
        })
    };
    let pod = json!([{
        "metadata": { "name": "a", "namespace": "default", "resourceVersion": "2" },
        "spec": { "nodeName": "n2", "containers": [] },
        "status": { "phase": "Running" },
    }]);
    let silent = Arc::new(AtomicBool::new(false));
    let falls = Arc::clone(&silent);
    let queue = queue(client(move |what, _| {
        if what.contains("/pods") && !what.contains("watch=true") {
            return Some(answer(200, &list("PodList", &pod), false));
        }
        if !what.contains("/nodes") {
            return None;
        }
        if what.contains("watch=true") {
            let falls = falls.load(Ordering::Relaxed);
            let is_ready = if falls { "Unknown" } else { "True" };
            let changed = json!({ "type": "MODIFIED", "object": node("n1", is_ready, false) });
            return Some(answer(200, &changed, falls));
        }
        // One in order, one that is closed and still runs something, one that is closed and does not.
        let all =
            json!([node("n1", "True", false), node("n2", "True", true), node("n3", "True", true)]);
        Some(answer(200, &list("NodeList", &all), false))
    }))
    .await;
    let count = async || queue.nodes().await.unwrap()["train"];
    assert_eq!(count().await, 2);
    silent.store(true, Ordering::Relaxed);
    until("one does not answer", async || (count().await == 1).then_some(())).await;
}
