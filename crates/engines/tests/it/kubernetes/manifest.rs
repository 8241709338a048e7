//! The manifests that people apply.

use engines::kubernetes::KubernetesConfig;
use kube::Client;
use kube::api::{Api, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// All objects of `deploy/kubernetes/agent.yaml`, in order.
fn objects() -> Vec<DynamicObject> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes/agent.yaml");
    serde_saphyr::from_multiple(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Makes them all, as `kubectl apply` does the first time, and gives the agent its rights in the namespace of
/// a tenant too.
pub(crate) async fn apply(client: &Client, of_tenant: &str) {
    let all = objects();
    let is_binding =
        |one: &&DynamicObject| one.types.as_ref().is_some_and(|of| of.kind == "RoleBinding");
    let mut further: Vec<DynamicObject> = all.iter().filter(is_binding).cloned().collect();
    for binding in &mut further {
        binding.metadata.namespace = Some(of_tenant.to_owned());
    }
    for object in all.into_iter().chain(further) {
        let types = object.types.clone().unwrap();
        let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
            None => Api::all_with(client.clone(), &kind),
        };
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}

#[test]
fn the_configuration_in_it_is_one() {
    #[derive(Deserialize)]
    struct File {
        kubernetes: KubernetesConfig,
    }
    let configs: Vec<String> = objects()
        .into_iter()
        .filter_map(|object| {
            Some(object.data.get("data")?.get("engine.toml")?.as_str()?.to_owned())
        })
        .collect();
    let [config] = &configs[..] else { panic!("{} configurations", configs.len()) };
    let File { kubernetes } = toml::from_str(config).unwrap();
    assert_eq!(kubernetes.pools.len(), 1);
}
