//! A center whose jobs are Kubernetes': the check of its owner, as its owner runs it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;
use whole_system::portolan;

#[allow(dead_code, reason = "the engines' own tests use the rest")]
#[path = "../../../crates/engines/tests/it/kubernetes/control_plane.rs"]
mod control_plane;
#[allow(dead_code, reason = "the engines' own tests use the rest")]
#[path = "../../../crates/engines/tests/it/kubernetes/kubelet.rs"]
mod kubelet;

const PATIENCE: Duration = Duration::from_secs(120);
/// Whom pods run as; tenants' jobs do not run as root.
const NOBODY: u32 = 65_534;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_passes_the_check_of_a_center() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can start pods as others");
        return;
    }
    let Some(plane) = control_plane::ControlPlane::start().await else {
        eprintln!("skipped: no control plane is here; docs/kubernetes.md says how one is built");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
    let file = dir.path().join("engine.toml");
    let config = format!(
        "[kubernetes]
         kubeconfig = {:?}
         namespace = 'checked'
         image = 'test'
         run_as = {{ uid = {NOBODY}, gid = {NOBODY} }}
         [kubernetes.volume]
         mount = {mount:?}
         source = {{ hostPath = {{ path = {mount:?} }} }}
         [kubernetes.pools.train]
         resource = '{resource}'
         ",
        plane.kubeconfig(),
        mount = dir.path(),
        resource = control_plane::RESOURCE,
    );
    fs::write(&file, config).unwrap();
    kubelet::make_namespace(&plane.client, "checked").await;
    let pods = kubelet::run_pods(plane.client.clone(), "checked", Some(NOBODY));
    let pods = tokio::spawn(pods);
    let mut check = tokio::process::Command::new(portolan());
    check.args(["center", "check", "--engine", "kubernetes", "--pool", "train", "--dir"]);
    check.arg(dir.path().join("portolan")).arg("--engine-config").arg(&file);
    let checked = check.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    pods.abort();
    let said = String::from_utf8_lossy(&checked.stdout);
    let complained = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}\n{complained}");
    assert!(said.contains("ready: 16 of 16"), "{said}");
}
