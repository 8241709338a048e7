//! Who may depend on whom: words < thought < stage < edge < binary, never upward.

use super::Violation;
use super::tree::{Crate, Tree};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// From the bottom up.
const LAYERS: [&str; 5] = ["words", "thought", "stage", "edge", "binary"];

/// The first layers, which decide and so know no runtime, socket, file or clock.
pub(super) const DECIDING: [&str; 2] = ["words", "thought"];

/// Edges that wire other edges together; no other edge knows one of its own kind.
const WIRING: [&str; 2] = ["agent", "server"];

/// External crates that bring a runtime or a socket.
const RUNTIMES: [&str; 5] = ["axum", "hyper", "reqwest", "sqlx", "tokio"];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    tree.crates.iter().flat_map(|krate| check_crate(tree, krate)).collect()
}

fn check_crate(tree: &Tree, krate: &Crate) -> Vec<Violation> {
    let path = krate.manifest_path();
    let Some(rank) = krate.layer().and_then(height) else {
        let fix =
            format!("add `[package.metadata.portolan] layer = …`, one of {}", LAYERS.join(", "));
        return vec![Violation::new(&path, 1, format!("{} declares no layer", krate.name), fix)];
    };
    let mut violations = Vec::new();
    for name in dependencies(&krate.manifest) {
        let Some(other) = tree.crates.iter().find(|other| other.name == name) else { continue };
        let Some((other_layer, other_rank)) =
            other.layer().and_then(|layer| Some((layer, height(layer)?)))
        else {
            continue;
        };
        let line = tree.line_of(&path, &format!("{name} "));
        if other_rank > rank {
            let what =
                format!("{} ({}) looks up at {name} ({other_layer})", krate.name, LAYERS[rank]);
            violations.push(Violation::new(&path, line, what, "move what both need down a layer"));
        } else if LAYERS[rank] == "edge" && other_layer == "edge" {
            let may = WIRING.contains(&krate.name.as_str()) && !WIRING.contains(&name.as_str());
            if !may {
                let what = format!("edge {} knows edge {name}", krate.name);
                let fix = format!("let the wiring ({}) bring them together", WIRING.join(", "));
                violations.push(Violation::new(&path, line, what, fix));
            }
        }
    }
    violations
}

fn height(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|known| *known == layer)
}

/// Names in all dependency tables of a manifest.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let tables = super::manifests::dependency_tables(manifest);
    tables.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

/// Refuses runtimes anywhere below the deciding crates, by what cargo really resolved.
pub(super) fn check_graph(tree: &Tree, metadata: &Value) -> Result<Vec<Violation>> {
    let graph = Graph::read(metadata).context("cargo metadata has an unknown shape")?;
    let mut violations = Vec::new();
    for krate in &tree.crates {
        if !krate.layer().is_some_and(|layer| DECIDING.contains(&layer)) {
            continue;
        }
        for way in graph.ways_to_runtimes(&krate.name) {
            let what = format!("{} must not reach a runtime: {}", krate.name, way.join(" → "));
            let path = krate.manifest_path();
            let line = tree.line_of(&path, &format!("{} ", way[1]));
            violations.push(Violation::new(
                &path,
                line,
                what,
                "drop the dependency or its feature",
            ));
        }
    }
    Ok(violations)
}

/// Package names and their normal (not build, not dev) dependencies, by package id.
struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut graph = Self { names: BTreeMap::new(), edges: BTreeMap::new() };
        for package in metadata["packages"].as_array()? {
            graph.names.insert(text(&package["id"])?, text(&package["name"])?);
        }
        for node in metadata["resolve"]["nodes"].as_array()? {
            let is_normal = |dep: &&Value| {
                dep["dep_kinds"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
            };
            let deps = node["deps"].as_array()?.iter().filter(is_normal);
            graph
                .edges
                .insert(text(&node["id"])?, deps.filter_map(|dep| text(&dep["pkg"])).collect());
        }
        Some(graph)
    }

    /// A shortest way from a crate of ours to each runtime it reaches, as names.
    fn ways_to_runtimes(&self, name: &str) -> Vec<Vec<&str>> {
        let Some((start, _)) = self.names.iter().find(|(_, known)| *known == name) else {
            return Vec::new();
        };
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([start.as_str()]);
        let mut ways = Vec::new();
        while let Some(id) = queue.pop_front() {
            if RUNTIMES.contains(&self.names[id].as_str()) {
                ways.push(self.way(&came_from, start, id));
                continue;
            }
            for next in self.edges.get(id).into_iter().flatten() {
                if next != start && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, id);
                    queue.push_back(next);
                }
            }
        }
        ways
    }

    fn way<'a>(
        &'a self,
        came_from: &BTreeMap<&'a str, &'a str>,
        start: &str,
        end: &'a str,
    ) -> Vec<&'a str> {
        let mut way = vec![self.names[end].as_str()];
        let mut at = end;
        while at != start {
            at = came_from[at];
            way.push(self.names[at].as_str());
        }
        way.reverse();
        way
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{finds, manifest, tree};
    use super::check_graph;
    use serde_json::json;

    #[test]
    fn a_crate_without_a_layer_is_found() {
        let silent = "[package]\nname = \"model\"\n[lints]\nworkspace = true\n";
        finds(
            &[("crates/model/Cargo.toml", silent)],
            &[("crates/model/Cargo.toml:1", "model declares no layer")],
        );
    }

    #[test]
    fn an_upward_edge_is_found_and_a_downward_one_is_not() {
        let up = manifest("model", "words", "[dependencies]\nplanner = { workspace = true }\n");
        finds(
            &[("crates/model/Cargo.toml", &up)],
            &[("crates/model/Cargo.toml:8", "model (words) looks up at planner (thought)")],
        );
        let down = manifest("planner", "thought", "[dependencies]\nmodel = { workspace = true }\n");
        finds(&[("crates/planner/Cargo.toml", &down)], &[]);
    }

    #[test]
    fn only_the_wiring_brings_edges_together() {
        let edge =
            |name: &str| manifest(name, "edge", "[dependencies]\nstore = { workspace = true }\n");
        let architecture = "crates/model crates/planner crates/store crates/api crates/server";
        let lib = "//! An edge.\n";
        finds(
            &[
                ("ARCHITECTURE.md", architecture),
                ("crates/api/Cargo.toml", &edge("api")),
                ("crates/api/src/lib.rs", lib),
                ("crates/server/Cargo.toml", &edge("server")),
                ("crates/server/src/lib.rs", lib),
            ],
            &[("crates/api/Cargo.toml:8", "edge api knows edge store")],
        );
    }

    #[test]
    fn a_runtime_is_found_through_others_but_not_through_dev_dependencies() {
        let kinds = |kind| json!([{ "kind": kind }]);
        let graph = |kind| {
            json!({
                "packages": [
                    {"id": "m", "name": "model"},
                    {"id": "s", "name": "some"},
                    {"id": "t", "name": "tokio"},
                ],
                "resolve": {"nodes": [
                    {"id": "m", "deps": [{"pkg": "s", "dep_kinds": kinds(kind)}]},
                    {"id": "s", "deps": [{"pkg": "t", "dep_kinds": kinds(json!(null))}]},
                    {"id": "t", "deps": []},
                ]},
            })
        };
        let tree = tree(&[]);
        let found = check_graph(&tree, &graph(json!(null))).expect("the shape is known");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.ends_with("model → some → tokio"), "{}", found[0]);
        assert!(check_graph(&tree, &graph(json!("dev"))).expect("the shape is known").is_empty());
    }
}
