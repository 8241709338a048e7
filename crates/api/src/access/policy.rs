//! Who may do what, as the Cedar policies beside this file say.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression, Schema,
};
use model::{CenterId, Role, TenantId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

const POLICIES: &str = include_str!("policies.cedar");
const SCHEMA: &str = include_str!("schema.cedarschema");

/// How many decisions are remembered.
const REMEMBERED: usize = 8_192;

macro_rules! actions {
    ($($name:ident = $text:literal;)*) => {
        /// What can be done; each is the operation of that name in the OpenAPI document.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Action { $($name,)* }

        impl Action {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];

            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

actions! {
    ListCenters = "list_centers";
    GetCenter = "get_center";
    ListLinks = "list_links";
    ListExchanges = "list_exchanges";
    ListPaths = "list_paths";
    ListCircles = "list_circles";
    ListChips = "list_chips";
    FollowEvents = "follow_events";
    ReadPromises = "read_promises";
    ReadShares = "read_shares";
    ReadLent = "read_lent";
    ReadPlan = "read_plan";
    ApplyNetwork = "apply_network";
    PlanQuotas = "plan_quotas";
    RecallCapacity = "recall_capacity";
    ShowCheck = "show_check";
    ShowBench = "show_bench";
    ListTokens = "list_tokens";
    CreateToken = "create_token";
    RevokeToken = "revoke_token";
    ReadLog = "read_log";
    ReadLogHeads = "read_log_heads";
    ReadMetrics = "read_metrics";
    DeclareCenterLost = "declare_center_lost";
    CutLink = "cut_link";
    TestLink = "test_link";
    MendLink = "mend_link";
    ListTenants = "list_tenants";
    SubmitJobs = "submit_jobs";
    ListJobs = "list_jobs";
    ListAllJobs = "list_all_jobs";
    PlanJob = "plan_job";
    GetJob = "get_job";
    ExplainJob = "explain_job";
    ReadJobLog = "read_job_log";
    CancelJob = "cancel_job";
    HoldJob = "hold_job";
    ReleaseJob = "release_job";
    RequeueJob = "requeue_job";
    ListDatasets = "list_datasets";
    GetDataset = "get_dataset";
    GetDatasetTicket = "get_dataset_ticket";
    AnnounceDataset = "announce_dataset";
    RemoveDataset = "remove_dataset";
    KeepDataset = "keep_dataset";
    CopyDataset = "copy_dataset";
    EvictCopy = "evict_copy";
    ArchiveCopy = "archive_copy";
    ScrubCopies = "scrub_copies";
    ListStores = "list_stores";
    GetStore = "get_store";
    ListTransfers = "list_transfers";
    JoinAgent = "join_agent";
    PollAgent = "poll_agent";
    ReportAgent = "report_agent";
    AnswerAgent = "answer_agent";
    TellUnderWay = "tell_under_way";
}

impl Action {
    /// It, for a sentence.
    pub(crate) fn words(self) -> String {
        self.text().replace('_', " ")
    }
}

/// What an action is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    /// The network as a whole.
    Network,
    /// A tenant, in whose name something is done.
    Tenant(TenantId),
    /// A center.
    Center(CenterId),
    /// A job of this tenant.
    Job(TenantId),
    /// A dataset of this tenant.
    Dataset(TenantId),
}

/// The policies, and what they were found to say.
pub(crate) struct Policies {
    policies: PolicySet,
    schema: Schema,
    authorizer: Authorizer,
    /// Policies look at nothing but these three and never change, so a decision stands.
    decided: RwLock<BTreeMap<(Role, Action, Resource), bool>>,
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies").finish_non_exhaustive()
    }
}

impl Policies {
    /// The policies this program was built with.
    pub(crate) fn embedded() -> Self {
        Self {
            policies: POLICIES.parse().expect("a test reads the embedded policies"),
            schema: SCHEMA.parse().expect("a test reads the embedded schema"),
            authorizer: Authorizer::new(),
            decided: RwLock::default(),
        }
    }

    /// Whether the holder of `role` may do `action` to `resource`.
    pub(crate) fn allow(&self, role: &Role, action: Action, resource: Resource) -> bool {
        let key = (role.clone(), action, resource);
        let decided = self.decided.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = decided.get(&key) {
            return *known;
        }
        drop(decided);
        let allowed = self.decide(&key.0, action, &key.2);
        let mut decided = self.decided.write().unwrap_or_else(PoisonError::into_inner);
        if decided.len() >= REMEMBERED {
            decided.clear();
        }
        decided.insert(key, allowed);
        allowed
    }

    fn decide(&self, role: &Role, action: Action, resource: &Resource) -> bool {
        let principal = match role {
            Role::Operator => uid("Operator", "operator"),
            Role::Center(center) => uid("Center", center.as_str()),
            Role::Tenant(tenant) => uid("Tenant", tenant.as_str()),
        };
        let of = |kind: &str, tenant: &TenantId| {
            let tenant = uid("Tenant", tenant.as_str());
            let whose = ("tenant".to_owned(), RestrictedExpression::new_entity_uid(tenant));
            Entity::new(uid(kind, "one"), HashMap::from([whose]), HashSet::new())
                .expect("an entity reference needs no evaluation")
        };
        let bare = |kind: &str, name: &str| Entity::new_no_attrs(uid(kind, name), HashSet::new());
        let resource = match resource {
            Resource::Network => bare("Network", "one"),
            Resource::Tenant(tenant) => bare("Tenant", tenant.as_str()),
            Resource::Center(center) => bare("Center", center.as_str()),
            Resource::Job(tenant) => of("Job", tenant),
            Resource::Dataset(tenant) => of("Dataset", tenant),
        };
        let (about, action) = (resource.uid(), uid("Action", action.text()));
        let entities = Entities::from_entities([resource], Some(&self.schema));
        let request = Request::new(principal, action, about, Context::empty(), Some(&self.schema));
        // What the schema knows nothing of, nobody may do.
        let (Ok(entities), Ok(request)) = (entities, request) else { return false };
        let answer = self.authorizer.is_authorized(&request, &self.policies, &entities);
        answer.decision() == Decision::Allow
    }
}

fn uid(kind: &str, name: &str) -> EntityUid {
    let kind = EntityTypeName::from_str(kind).expect("a type name of the schema");
    EntityUid::from_type_name_and_id(kind, EntityId::new(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::{SchemaFragment, ValidationMode, Validator};

    #[test]
    fn the_policies_fit_their_schema_and_the_schema_names_every_action() {
        let policies = Policies::embedded();
        let result = Validator::new(policies.schema.clone())
            .validate(&policies.policies, ValidationMode::Strict);
        let errors: Vec<String> = result.validation_errors().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let (_, warnings) = SchemaFragment::from_cedarschema_str(SCHEMA).unwrap();
        assert_eq!(warnings.count(), 0);
        let groups =
            ["look", "act_for", "use_job", "read_data", "own_data", "show_itself", "agent"];
        let mut named: Vec<String> =
            policies.schema.actions().map(|a| a.id().unescaped().to_owned()).collect();
        named.retain(|name| !groups.contains(&name.as_str()));
        named.sort_unstable();
        let mut known: Vec<&str> = Action::ALL.iter().map(|a| a.text()).collect();
        known.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn nobody_but_an_operator_touches_what_is_anothers() {
        let policies = Policies::embedded();
        let tenant = |name: &str| TenantId::new(name).unwrap();
        let center = |name: &str| CenterId::new(name).unwrap();
        let (lab, bio) = (tenant("lab"), tenant("bio"));
        let own = Role::Tenant(lab.clone());
        let check = |role: &Role, action, resource: Resource, expected| {
            for _ in 0..2 {
                let allowed = policies.allow(role, action, resource.clone());
                assert_eq!(allowed, expected, "{role} {action:?} {resource:?}");
            }
        };
        check(&own, Action::CancelJob, Resource::Job(lab.clone()), true);
        check(&own, Action::CancelJob, Resource::Job(bio.clone()), false);
        check(&own, Action::SubmitJobs, Resource::Tenant(bio.clone()), false);
        check(&own, Action::GetDataset, Resource::Dataset(bio.clone()), true);
        check(&own, Action::RemoveDataset, Resource::Dataset(bio.clone()), false);
        check(&own, Action::CreateToken, Resource::Network, false);
        let agent = Role::Center(center("a"));
        check(&agent, Action::PollAgent, Resource::Center(center("a")), true);
        check(&agent, Action::PollAgent, Resource::Center(center("b")), false);
        check(&agent, Action::GetJob, Resource::Job(lab.clone()), false);
        check(&Role::Operator, Action::CancelJob, Resource::Job(bio), true);
        check(&Role::Operator, Action::PollAgent, Resource::Center(center("a")), false);
        // An action on what the schema does not give it.
        check(&Role::Operator, Action::CreateToken, Resource::Job(lab), false);
    }
}
