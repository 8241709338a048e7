//! Jobs in sandboxes and containers of a center's machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use whole_system::{Plan, sh};

fn there_is(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Podman that keeps its things in `dir`, and there an image that is little but a shell.
fn podman(dir: &Path) -> Vec<String> {
    let bin = dir.join("root").join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    for name in ["sh", "echo", "cat"] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
    }
    let image = dir.join("image.tar");
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(dir.join("root")).arg("-cf").arg(&image).arg(".");
    assert!(pack.status().unwrap().success());
    let at = |name: &str| dir.join(name).display().to_string();
    let (store, run) = (at("store"), at("run"));
    let program = ["podman", "--root", &store, "--runroot", &run, "--storage-driver", "vfs"];
    let program = [&program[..], &["--cgroup-manager", "cgroupfs", "--runtime", "runc"]].concat();
    let mut import = Command::new(program[0]);
    import.args(&program[1..]).arg("import").arg(&image).arg("local/shell:1");
    assert!(import.output().unwrap().status.success());
    program.into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_in_the_image_it_names_and_others_in_a_sandbox() {
    let all = ["bwrap", "podman", "runc"].into_iter().all(there_is);
    if !rustix::process::geteuid().is_root() || !all || !Path::new("/bin/busybox").exists() {
        eprintln!("skipped: not root, or no bubblewrap, podman, runc or busybox here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let program = podman(dir.path());
    let config = dir.path().join("engine.toml");
    let text = format!(
        "[process]\nisolation = \"bubblewrap\"\n[process.container]\nruntime = \"podman\"\n\
         program = {program:?}\noptions = [\"--ulimit=nofile=1024:4096\", \"--ulimit=nproc=1000:1000\"]\n"
    );
    fs::write(&config, text).unwrap();
    let net = Plan::laptop().only(&["kunshan"]).engine_of("kunshan", &config).start().await;
    let center = net.cli(net.tenant("lab"), &["centers", "kunshan"]).await;
    assert!(center.stdout.contains("bubblewrap"), "{}{}", center.stdout, center.stderr);

    let script = "ls /usr 2>/dev/null || echo no /usr; cat /proc/1/comm; \
                  touch /etc/x 2>/dev/null && echo open; exit 0";
    let mut inside = sh("inside", script);
    inside["image"] = "local/shell:1".into();
    let inside = net.submit("lab", &inside).await;
    let boxed = net.submit("lab", &sh("boxed", "cat /proc/1/comm; touch /etc/x; echo $?")).await;
    let mut missing = sh("missing", "true");
    missing["image"] = "localhost:1/none:1".into();
    let missing = net.submit("lab", &missing).await;

    assert_eq!(net.ended(inside).await.job.state, "completed");
    assert!(net.output(inside).await.starts_with("no /usr\n"), "{}", net.output(inside).await);
    assert_eq!(net.ended(boxed).await.job.state, "completed");
    assert_eq!(net.output(boxed).await, "bwrap\n1\n");
    let missing = net.ended(missing).await;
    assert_eq!(missing.job.outcome.as_deref(), Some("exit code 125"), "{:?}", missing.job);
}
