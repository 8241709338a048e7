//! Quotas over the tree of tenants, with Kueue's words: what is borrowed, lent and reclaimed, and where
//! a job goes for it. Each is named after the behavior as Kueue's documentation calls it, and says
//! where this goes further.

use super::{Stage, center, ended};
use controller::{Answer, Change, Command, Declarations, Effect, Input, Of, Rejected, Settings};
use model::attempt::Outcome;
use model::file::job::Format;
use model::{CenterId, JobId, Phase, Principal, Span, Stop, TenantId};
use std::fmt::Write as _;
use std::sync::Arc;
use wire::Report;

/// Two centers with 16 and 8 cuda chips, and one with 8 of another class.
fn network(tenants: &str) -> String {
    let mut text = String::new();
    let pools = [
        ("east", "nvidia-a100-sxm4-80", 2),
        ("west", "nvidia-a100-sxm4-80", 1),
        ("north", "ascend-910b3", 1),
    ];
    for (name, chip, nodes) in pools {
        write!(
            text,
            "[[center]]\ncenter = \"{name}\"\nowner = \"{name}\"\nregion = \"cn/{name}\"\n\
             latitude = 31\nlongitude = 121\ntime_zone = \"Asia/Shanghai\"\nengine = \"process\"\n\
             [[center.pool]]\npool = \"p\"\nchip = \"{chip}\"\nnodes = {nodes}\n\
             chips_per_node = 8\ncores = 64\nmemory = \"256 GiB\"\nprice_per_chip_hour = \"5 CNY\"\n"
        )
        .unwrap();
    }
    text + "[[flavor]]\nflavor = \"cuda\"\nclasses = [\"cuda\"]\n\
            [[flavor]]\nflavor = \"cann\"\nclasses = [\"cann\"]\n"
        + tenants
}

/// A tenant as a network file has it: `parent` and policies as they are written there.
fn tenant(name: &str, more: &str, quota: &str) -> String {
    let quota = match quota {
        "" => String::new(),
        quota => format!("[[tenant.quota]]\nflavor = \"cuda\"\n{quota}\n"),
    };
    format!("[[tenant]]\ntenant = \"{name}\"\n{more}\n{quota}")
}

/// A network and what its tenants do.
pub(crate) struct Story {
    pub(crate) stage: Stage,
    centers: Vec<&'static str>,
}

impl Story {
    fn of(tenants: &str) -> Self {
        Self::on(&network(tenants), &["east", "west", "north"])
    }

    /// On another network with these centers.
    pub(crate) fn on(network: &str, centers: &[&'static str]) -> Self {
        let mut stage = Stage::of(network, Settings::default());
        centers.iter().for_each(|name| stage.join(name));
        Self { stage, centers: centers.to_vec() }
    }

    /// Has somebody ask for something.
    pub(crate) fn ask(&mut self, by: &Principal, command: Command) -> Answer {
        let request = 1_000_000;
        self.stage.step(vec![Input::Command { request, by: by.clone(), command }]);
        self.stage.answers.remove(&request).expect("every command is answered")
    }

    /// A job of a tenant for so many cuda chips, eight to a node.
    pub(crate) fn submit(&mut self, of: &str, chips: u32, more: &str) -> JobId {
        let job = self.submit_only(of, chips, more);
        self.settle();
        job
    }

    /// The same, and nothing is planned yet but what fits at once.
    fn submit_only(&mut self, of: &str, chips: u32, more: &str) -> JobId {
        let (nodes, chips) = if chips > 8 { (chips / 8, 8) } else { (1, chips) };
        let on = if more.contains("[[variant]]") { "" } else { "on = \"cuda\"\n" };
        let limit = if more.contains("limit") { "" } else { "limit = \"1h\"\n" };
        let may_go = if more.contains("preemptible") { "" } else { "preemptible = true\n" };
        let text = format!(
            "name = \"j\"\ncommand = [\"true\"]\n{limit}{may_go}{on}\
             chips = {chips}\nnodes = {nodes}\n{more}"
        );
        let file = model::file::job::read("job.toml", &text, Format::Toml).unwrap();
        let spec = file.spec(TenantId::new(of).unwrap(), self.stage.now).unwrap();
        self.stage.submit(Arc::new(spec))
    }

    /// Lets the server plan the whole queue, and centers start what they were given.
    pub(crate) fn settle(&mut self) {
        let centers = self.centers.clone();
        self.stage.pass(Span::from_secs(2), &centers);
        let jobs: Vec<_> = self.stage.controller.world().jobs.iter().cloned().collect();
        for job in jobs {
            let Phase::Placed(live) = &job.phase else { continue };
            if !live.is_over()
                && live.state.started().is_none()
                && live.placement.start <= self.stage.now
            {
                let (attempt, at) = (live.attempt, live.placement.center().clone());
                self.stage.report(at.as_str(), Report::Started { attempt });
            }
        }
    }

    /// What its center says at the end of a job that it runs.
    fn end_of(&self, job: JobId, outcome: Outcome) -> (CenterId, Report) {
        let job = self.stage.controller.world().job(job).unwrap();
        let live = job.phase.attempt().unwrap();
        let (attempt, at) = (live.attempt, live.placement.center().clone());
        (at, Report::Ended { attempt, ended: ended(outcome), outputs: vec![] })
    }

    fn over(&mut self, job: JobId, outcome: Outcome) {
        let (at, report) = self.end_of(job, outcome);
        self.stage.report(at.as_str(), report);
        self.settle();
    }

    pub(crate) fn ends(&mut self, job: JobId) {
        self.over(job, Outcome::Exited { code: 0 });
    }

    /// Jobs of one center end, and it says so at once.
    pub(crate) fn end_together(&mut self, jobs: &[JobId]) {
        let ends = jobs.iter().map(|job| self.end_of(*job, Outcome::Exited { code: 0 }));
        let (at, reports): (Vec<_>, Vec<_>) = ends.unzip();
        self.stage.reports(at[0].as_str(), reports);
        self.settle();
    }

    /// Where a job is: the center, `leaving` where it makes room, or that it waits.
    pub(crate) fn is(&self, job: JobId) -> &'static str {
        let job = self.stage.controller.world().job(job).unwrap();
        match &job.phase {
            Phase::Placed(live) if live.preempted.is_some() => "leaving",
            Phase::Placed(live) => {
                let names = ["east", "west", "north"];
                names.into_iter().find(|name| center(name) == *live.placement.center()).unwrap()
            }
            Phase::Waiting { .. } => "waiting",
            Phase::Held => "held",
            Phase::Blocked => "blocked",
            Phase::Ended { .. } => "ended",
        }
    }

    pub(crate) fn are(&self, jobs: &[JobId]) -> Vec<&'static str> {
        jobs.iter().map(|job| self.is(*job)).collect()
    }

    /// Those that make room have left.
    pub(crate) fn leave(&mut self, jobs: &[JobId]) {
        for job in jobs {
            self.over(*job, Outcome::Stopped(Stop::Preempted));
        }
    }

    /// Why a job waits, by the center that is nearest to taking it.
    pub(crate) fn why(&self, job: JobId) -> String {
        let standings = self.stage.standings(job);
        standings.iter().max_by_key(|s| s.refusal.nearness()).unwrap().refusal.to_string()
    }

    /// Declares tenants anew.
    fn declare(&mut self, tenants: &str) -> Answer {
        let answer = self.declare_only(tenants);
        self.settle();
        answer
    }

    fn declare_only(&mut self, tenants: &str) -> Answer {
        let beside = model::file::network::NetworkFile::default();
        let catalog = model::file::chip::Catalog::read(&super::CHIPS).unwrap();
        let sources = [("tenants.toml", &*network(tenants))];
        let file = model::file::network::read_beside(&sources, &catalog, &beside).unwrap();
        let declarations = Declarations { tenants: file.tenants, ..Declarations::default() };
        self.stage.command(Command::Apply(Box::new(declarations)))
    }

    /// The plan for the whole queue, which takes its time.
    fn planned(&mut self) -> Box<planner::Plan> {
        self.stage.now = self.stage.now + Span::from_secs(2);
        let mut effects = self.stage.controller.step(self.stage.now, vec![Input::Tick]);
        let is_asked_for = |effect: &Effect| matches!(effect, Effect::Solve(_));
        let at = effects.iter().position(is_asked_for).expect("somebody waits");
        let Effect::Solve(snapshot) = effects.remove(at) else { unreachable!() };
        self.stage.carry_out(effects);
        Box::new(snapshot.plan())
    }
}

/// A cohort of two with eight cuda chips each, and the policies of both.
fn pair(policies: &str, a: &str, b: &str) -> String {
    tenant("city", "", "nominal = 0")
        + &tenant("a", &format!("parent = \"city\"\n{policies}"), a)
        + &tenant("b", &format!("parent = \"city\"\n{policies}"), b)
}

const ANY: &str = "reclaim_within_cohort = \"any\"";

#[test]
fn borrowing_what_the_cohort_does_not_use_up_to_the_borrowing_limit() {
    let mut story = Story::of(&pair("", "nominal = 8\nborrowing_limit = 4", "nominal = 8"));
    let jobs = [8, 4, 4].map(|chips| story.submit("a", chips, ""));
    // Kueue counts in one cluster; here the quota is one over both, and it is full.
    assert_eq!(story.are(&jobs), ["east", "east", "waiting"]);
    assert_eq!(
        story.why(jobs[2]),
        "4 chips of `cuda` for `a` are 4 too many: `a` may borrow 4 and has borrowed 4; fits when others \
         give back what they use"
    );
    story.ends(jobs[1]);
    assert_eq!(story.is(jobs[2]), "east");
    story.stage.audit();
}

#[test]
fn a_quota_holds_over_several_clusters_together() {
    // A wish of MultiKueue's users: there each cluster has a quota of its own.
    let mut story = Story::of(&tenant("a", "", "nominal = 20"));
    let jobs = [8, 8, 4, 4].map(|chips| story.submit("a", chips, ""));
    assert_eq!(story.are(&jobs), ["east", "east", "west", "waiting"]);
    story.ends(jobs[0]);
    assert_ne!(story.is(jobs[3]), "waiting");
    story.stage.audit();
}

#[test]
fn a_lending_limit_keeps_the_rest_for_its_owner() {
    let mut story = Story::of(&pair("", "nominal = 8", "nominal = 8\nlending_limit = 2"));
    let jobs = [8, 2, 2].map(|chips| story.submit("a", chips, ""));
    assert_eq!(story.are(&jobs), ["east", "east", "waiting"]);
    let own = story.submit("b", 4, "");
    assert_eq!(story.is(own), "east");
    story.stage.audit();
}

#[test]
fn without_reclaim_the_owner_waits_until_what_it_lent_comes_back() {
    let mut story = Story::of(&pair("", "nominal = 8", "nominal = 8"));
    let lent = [8, 8].map(|chips| story.submit("a", chips, ""));
    let own = story.submit("b", 8, "");
    assert_eq!(story.is(own), "waiting");
    story.ends(lent[1]);
    assert_ne!(story.is(own), "waiting");
    story.stage.audit();
}

#[test]
fn reclaim_within_cohort_takes_back_what_was_lent_and_nothing_else() {
    let mut story = Story::of(&pair(ANY, "nominal = 8", "nominal = 8"));
    let jobs = [8, 4, 4].map(|chips| story.submit("a", chips, "priority = 100"));
    let own = story.submit("b", 4, "");
    // What came last goes, whatever its priority; its owner has its place once it has left.
    assert_eq!(story.are(&jobs), ["east", "east", "leaving"]);
    story.leave(&jobs[2..]);
    story.stage.pass(Span::from_secs(60), &["east", "west", "north"]);
    story.settle();
    assert_ne!(story.is(own), "waiting");
    assert_eq!(story.is(jobs[2]), "waiting");
    // Its own eight are not to be had.
    let more = story.submit("b", 4, "");
    story.leave(&[jobs[1]]);
    let beyond = story.submit("b", 4, "");
    assert_ne!(story.is(more), "waiting");
    assert_eq!((story.is(jobs[0]), story.is(beyond)), ("east", "waiting"));
    story.stage.audit();
}

#[test]
fn reclaim_of_lower_priority_leaves_the_same_and_higher_alone() {
    let policies = "reclaim_within_cohort = \"lower-priority\"";
    let mut story = Story::of(&pair(policies, "nominal = 8", "nominal = 8"));
    let lent = [8, 8].map(|chips| story.submit("a", chips, "priority = 5"));
    let same = story.submit("b", 8, "priority = 5");
    assert_eq!(story.is(same), "waiting");
    let higher = story.submit("b", 8, "priority = 6");
    assert_ne!(story.is(higher), "waiting");
    assert_eq!(story.are(&lent).iter().filter(|at| **at == "leaving").count(), 1);
    story.stage.audit();
}

#[test]
fn what_was_lent_to_another_cluster_comes_back_too() {
    // Cross-cluster reclaim: the job that has to go runs in another center than the one that comes.
    let mut story = Story::of(&pair(ANY, "nominal = 16", "nominal = 8"));
    let lent = [8, 8, 8].map(|chips| story.submit("a", chips, ""));
    assert_eq!(story.are(&lent), ["east", "east", "west"]);
    story.ends(lent[0]);
    let again = story.submit("a", 8, "");
    assert_eq!(story.is(again), "east");
    let own = story.submit("b", 8, "");
    assert_ne!(story.is(own), "waiting");
    assert_eq!(story.are(&[lent[1], lent[2], again]), ["east", "west", "leaving"]);
    story.stage.audit();
}

#[test]
fn nested_cohorts_lend_to_their_own_first_and_then_to_each_other() {
    let tenants = tenant("net", "", "nominal = 0")
        + &tenant("uni", "parent = \"net\"", "nominal = 0\nborrowing_limit = 4")
        + &tenant("corp", "parent = \"net\"", "nominal = 8")
        + &tenant("physics", "parent = \"uni\"", "nominal = 4")
        + &tenant("biology", "parent = \"uni\"", "nominal = 8");
    let mut story = Story::of(&tenants);
    // Four of its own, eight of its neighbor's, four of the other organization's: no more.
    let jobs = [4, 8, 4, 2].map(|chips| story.submit("physics", chips, ""));
    assert!(story.are(&jobs[..3]).iter().all(|at| *at != "waiting"));
    assert_eq!(story.is(jobs[3]), "waiting");
    assert!(story.why(jobs[3]).contains("`uni` may borrow 4 and has borrowed 4"));
    story.stage.audit();
}

#[test]
fn borrow_within_cohort_preempts_lower_priorities_up_to_its_threshold() {
    let policies = "reclaim_within_cohort = \"lower-priority\"\n\
                    borrow_within_cohort = \"lower-priority\"\n\
                    borrow_within_cohort_max_priority = 3";
    let three = |policies: &str| {
        pair(policies, "nominal = 4", "nominal = 4")
            + &tenant("c", "parent = \"city\"", "nominal = 8")
    };
    for (priority, goes) in [(3, true), (4, false)] {
        let mut story = Story::of(&three(policies));
        let all = [8, 8].map(|chips| story.submit("a", chips, &format!("priority = {priority}")));
        assert!(story.are(&all).iter().all(|at| *at != "waiting"));
        // Eight are four more than its own: it borrows as well.
        let urgent = story.submit("b", 8, "priority = 9");
        assert_eq!(story.is(urgent) != "waiting", goes, "{priority}");
        story.stage.audit();
    }
}

#[test]
fn within_the_queue_lower_priorities_make_room() {
    let policies = "within_queue = \"lower-priority\"";
    let mut story = Story::of(&tenant("a", policies, "nominal = 8"));
    let low = [4, 4].map(|chips| story.submit("a", chips, ""));
    let high = story.submit("a", 4, "priority = 1");
    assert_ne!(story.is(high), "waiting");
    assert_eq!(story.are(&low), ["east", "leaving"]);
    story.stage.audit();
}

#[test]
fn nobody_makes_room_by_rules_that_changed_while_the_plan_was_drawn_up() {
    let within = |rule: &str| format!("within_queue = \"{rule}\"");
    let reclaim = |rule: &str| format!("reclaim_within_cohort = \"{rule}\"");
    let alone = |rules: &str| tenant("a", rules, "nominal = 8");
    let lent = |rules: &str| pair(rules, "nominal = 8", "nominal = 0");
    let changes = [
        ("b", lent(&reclaim("any")), lent(&reclaim("lower-priority"))),
        ("b", lent(&reclaim("any")), lent(&reclaim("never"))),
        ("a", alone(&within("lower-or-newer-equal")), alone(&within("lower-priority"))),
        ("a", alone(&within("lower-or-newer-equal")), alone(&within("never"))),
    ];
    for (of, before, after) in changes {
        let mut story = Story::of(&before);
        // The first to come is the last to run, and its priority is that of the others.
        let late = story.submit("a", 4, "hold = true");
        let there = [4, 4].map(|chips| story.submit(of, chips, ""));
        story.stage.command(Command::Change(Of::Job(late), Change::Release));
        assert_eq!(story.are(&[late, there[0], there[1]]), ["waiting", "east", "east"]);
        let plan = story.planned();
        assert!(plan.offers.iter().any(|offer| offer.preempts.len() == 1), "{after}");
        story.declare_only(&after);
        story.stage.step(vec![Input::Solved(plan)]);
        assert_eq!(story.are(&[late, there[0], there[1]]), ["waiting", "east", "east"], "{after}");
        story.stage.audit();
    }
}

#[test]
fn preemption_order_takes_the_lowest_priority_then_the_newest() {
    let mut story = Story::of(&pair(ANY, "nominal = 4", "nominal = 12"));
    let priorities = [2, 1, 1, 3];
    let lent = priorities.map(|of| story.submit("a", 4, &format!("priority = {of}")));
    let _own = story.submit("b", 4, "");
    assert_eq!(story.are(&lent), ["east", "east", "leaving", "east"]);
    let _more = story.submit("b", 4, "");
    assert_eq!(story.are(&lent), ["east", "leaving", "leaving", "east"]);
    story.stage.audit();
}

#[test]
fn fungibility_a_job_goes_to_the_chips_its_tenant_has_left() {
    let quotas = "nominal = 8\n[[tenant.quota]]\nflavor = \"cann\"\nnominal = 4";
    let mut story = Story::of(&tenant("a", "", quotas));
    let either = "[[variant]]\non = \"cuda\"\n[[variant]]\non = \"cann\"";
    let jobs = [8, 4, 4].map(|chips| story.submit("a", chips, either));
    assert_eq!(story.are(&jobs), ["east", "north", "waiting"]);
    story.stage.audit();
}

#[test]
fn a_lending_limit_goes_with_preemption() {
    // Kueue's users could not have both for long: what is lent within the limit comes back.
    let mut story = Story::of(&pair(ANY, "nominal = 8", "nominal = 8\nlending_limit = 4"));
    let jobs = [8, 4].map(|chips| story.submit("a", chips, ""));
    let own = [4, 4].map(|chips| story.submit("b", chips, ""));
    assert_eq!(story.are(&jobs), ["east", "leaving"]);
    assert!(own.iter().all(|job| story.is(*job) != "waiting"));
    story.stage.audit();
}

#[test]
fn no_more_jobs_run_or_wait_and_no_more_is_spent_than_a_tenant_may() {
    let caps = "max_running = 2\nmax_queued = 1\nbudget = \"100 card-hours\"";
    let mut story = Story::of(&tenant("a", caps, ""));
    let jobs = [1, 1, 1].map(|chips| story.submit("a", chips, ""));
    assert_eq!(story.are(&jobs), ["east", "east", "waiting"]);
    let spec = story.stage.controller.world().job(jobs[0]).unwrap().spec.clone();
    let refused = story.stage.command(Command::Submit { jobs: vec![spec], key: None });
    let Answer::Rejected(Rejected::Conflict { why }) = refused else { panic!("{refused:?}") };
    assert_eq!(
        why,
        "1 more jobs of `a` are 1 too many: of `a` 1 of at most 1 wait; fits when they end"
    );
    story.ends(jobs[0]);
    assert_eq!(story.is(jobs[2]), "east");
    // Two hold an hour each; a hundred chips for an hour are more than is left.
    let dear = story.submit("a", 16, "limit = \"7h\"");
    assert_eq!(story.is(dear), "waiting");
    story.stage.audit();
}

#[test]
fn a_job_that_has_waited_long_for_quota_is_not_overtaken_any_more() {
    let mut story = Story::of(&tenant("a", "", "nominal = 8"));
    let first = story.submit("a", 4, "");
    let large = story.submit("a", 8, "");
    let before = story.submit("a", 4, "");
    assert_eq!(story.are(&[first, large, before]), ["east", "waiting", "east"]);
    story.stage.pass(Span::from_secs(601), &["east", "west", "north"]);
    story.ends(first);
    let after = story.submit("a", 4, "");
    assert_eq!(story.are(&[large, after]), ["waiting", "waiting"]);
    assert!(story.why(after).ends_with("for the same and comes first"), "{}", story.why(after));
    story.ends(before);
    assert_eq!(story.are(&[large, after]), ["east", "waiting"]);
    story.stage.audit();
}

#[test]
fn changes_of_quotas_take_effect_at_once_and_nonsense_is_refused() {
    let mut story = Story::of(&pair(ANY, "nominal = 8\nborrowing_limit = 0", "nominal = 8"));
    let jobs = [8, 8].map(|chips| story.submit("a", chips, ""));
    assert_eq!(story.are(&jobs), ["east", "waiting"]);
    story.declare(&pair(ANY, "nominal = 8", "nominal = 8"));
    assert_ne!(story.is(jobs[1]), "waiting");
    // Lowered under what runs: nobody goes for it, but nothing more is had.
    story.declare(&pair(ANY, "nominal = 4", "nominal = 4"));
    assert!(story.are(&jobs).iter().all(|at| *at != "waiting"));
    let more = story.submit("a", 1, "");
    assert_eq!(story.is(more), "waiting");
    let circle = tenant("a", "parent = \"b\"", "") + &tenant("b", "parent = \"a\"", "");
    let file = model::file::network::read(&[("t.toml", &circle)], &model::file::Catalog::default());
    assert!(file.is_err());
    story.stage.audit();
}
