//! The batch engine on a real Slurm cluster.

use crate::fresh_network;
use clusters::{Cluster, Shape};
use engines::conformance::{Verdict, check};
use engines::slurm::{Slurm, SlurmConfig, SlurmPool};
use engines::{BatchConfig, BatchEngine, Error, SupervisorCommand};
use model::NetworkUid;
use std::collections::BTreeMap;
use std::time::Duration;

const SHAPE: Shape<'_> = Shape { nodes: 4, chip: "ascend910b" };

async fn open(cluster: &Cluster, network: NetworkUid) -> Result<BatchEngine<Slurm>, Error> {
    let train = SlurmPool { gres: Some("gpu:ascend910b".to_owned()), ..SlurmPool::default() };
    let config = SlurmConfig {
        conf: Some(cluster.conf()),
        user: Some(clusters::USER.to_owned()),
        pools: BTreeMap::from([("train".to_owned(), train)]),
    };
    let program = env!("CARGO_BIN_EXE_portolan-supervise").into();
    let batch = BatchConfig {
        base: cluster.shared(),
        network,
        supervisor: SupervisorCommand { program, arguments: Vec::new() },
        ask_every: Duration::from_secs(1),
    };
    BatchEngine::open(batch, Slurm::find(config).await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slurm_conforms() {
    if !clusters::can_boot() {
        eprintln!("skipped: no Slurm here, or not root; apt install {:?}", clusters::PACKAGES);
        return;
    }
    let cluster = Cluster::boot(SHAPE).unwrap();
    let network = fresh_network();
    let findings = check(network, async || open(&cluster, network).await).await.unwrap();
    let broken: Vec<String> = findings
        .iter()
        .filter(|finding| matches!(finding.verdict, Verdict::Broken(_)))
        .map(ToString::to_string)
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
