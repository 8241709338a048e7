//! What owners lend, to whom, when, and how they take it back.

use super::quota::Story;
use super::{center, operator};
use controller::{Answer, Command, Rejected};
use model::{Chips, JobId, Moment, PoolId, Principal, Refused, Role, Span, TokenId};
use std::sync::Arc;
use wire::Report;

/// A center of sixteen chips that lends by these rules, with a tenant at home there, and two guests of
/// which one is below an organization.
fn story(rules: &str) -> Story {
    Story::on(&network(rules), &["east"])
}

fn network(rules: &str) -> String {
    format!(
        "[[center]]\ncenter = \"east\"\nowner = \"east\"\nregion = \"cn/east\"\nlatitude = 31\n\
         longitude = 121\ntime_zone = \"Asia/Shanghai\"\nengine = \"process\"\n{rules}\n\
         [[center.pool]]\npool = \"p\"\nchip = \"nvidia-a100-sxm4-80\"\nnodes = 2\n\
         chips_per_node = 8\ncores = 64\nmemory = \"256 GiB\"\nprice_per_chip_hour = \"5 CNY\"\n\
         [[tenant]]\ntenant = \"own\"\nhome = \"east\"\n\
         [[tenant]]\ntenant = \"guest\"\n\
         [[tenant]]\ntenant = \"institute\"\nindustry = \"biomedicine\"\n\
         [[tenant]]\ntenant = \"group\"\nparent = \"institute\"\n"
    )
}

fn recall(story: &mut Story, by: &Principal, chips: u64, in_time: Span, lasts: Span) -> Answer {
    let now = story.stage.now;
    let pools = vec![(PoolId::new("p").unwrap(), Chips::whole(chips))];
    let (in_time, until) = (now + in_time, now + lasts);
    story.ask(by, Command::Recall { center: center("east"), pools, in_time, until })
}

const HOUR: Span = Span::from_secs(3_600);

#[test]
fn no_more_than_what_is_lent_is_had_by_guests_together_and_all_by_its_own() {
    let mut story = story("lend_percent = 25");
    let guests = [("guest", 3), ("group", 1), ("guest", 1)].map(|(of, n)| story.submit(of, n, ""));
    assert_eq!(story.are(&guests), ["east", "east", "waiting"]);
    assert_eq!(story.why(guests[2]), "its owner lends 4 of its chips, and others have 4 of them");
    let own = [8, 4].map(|chips| story.submit("own", chips, ""));
    assert_eq!(story.are(&own), ["east", "east"]);
    story.ends(guests[0]);
    assert_eq!(story.is(guests[2]), "east");
    story.stage.audit();
}

#[test]
fn it_is_lent_to_whom_its_owner_says_and_to_those_below_them() {
    for rule in ["organizations = [\"institute\"]", "industries = [\"biomedicine\"]"] {
        let mut story = story(&format!("[center.lending]\n{rule}\n"));
        let jobs = ["group", "guest", "own"].map(|of| story.submit(of, 1, ""));
        assert_eq!(story.are(&jobs), ["east", "waiting", "east"], "{rule}");
        assert!(story.why(jobs[1]).starts_with("its owner lends it to "));
        story.stage.audit();
    }
}

#[test]
fn it_is_lent_by_what_a_tenant_is_to_its_owner() {
    let both = "[\"internal\", \"partner\"]";
    for (relations, expected) in [
        ("[\"internal\"]", ["waiting", "waiting", "east", "east"]),
        ("[\"partner\"]", ["east", "waiting", "waiting", "east"]),
        ("[\"outside\"]", ["waiting", "east", "waiting", "east"]),
        (both, ["east", "waiting", "east", "east"]),
    ] {
        let rules =
            format!("partners = [\"institute\"]\n[center.lending]\nrelations = {relations}\n");
        // Another center of the same owner, and who is at home there.
        let text = network(&rules)
            + "[[center]]\ncenter = \"west\"\nowner = \"east\"\nregion = \"cn/west\"\n\
               latitude = 31\nlongitude = 121\ntime_zone = \"Asia/Shanghai\"\n\
               engine = \"process\"\n[[center.pool]]\npool = \"q\"\nnodes = 1\ncores = 1\n\
               memory = \"1 GiB\"\nprice_per_node_hour = \"1 CNY\"\n\
               [[tenant]]\ntenant = \"sister\"\nhome = \"west\"\n";
        let mut story = Story::on(&text, &["east", "west"]);
        let jobs = ["group", "guest", "sister", "own"].map(|of| story.submit(of, 1, ""));
        assert_eq!(story.are(&jobs), expected, "{relations}");
        story.stage.audit();
    }
}

#[test]
fn it_is_lent_in_its_windows_and_a_job_starts_when_one_opens_that_is_long_enough() {
    // The story begins on Thursday 1970-01-01 at 08:00 in Shanghai.
    let mut story = story("[center.lending]\nwindows = [\"Mon-Fri 20:00-06:00\"]\n");
    let (guest, long) = (story.submit("guest", 1, ""), story.submit("guest", 1, "limit = \"11h\""));
    let own = story.submit("own", 1, "limit = \"11h\"");
    assert_eq!(story.are(&[guest, long, own]), ["waiting", "waiting", "east"]);
    let told = |story: &Story, job: JobId| {
        story.stage.controller.board().view().reservation(job).map(|r| r.start)
    };
    assert_eq!(told(&story, guest), Some("1970-01-01T20:00+08:00".parse::<Moment>().unwrap()));
    assert_eq!(told(&story, long), None);
    assert!(story.why(long).ends_with("Mon-Fri 20:00-06:00, and the job may run 11h 0m"));
    story.stage.pass(Span(HOUR.0 * 12), &["east"]);
    story.settle();
    assert_eq!(story.is(guest), "east");
    story.stage.audit();
}

#[test]
fn its_own_come_first_and_guests_make_room_whatever_their_priority() {
    let mut story = story("recall_notice = \"10m\"");
    let guests = [8, 8].map(|chips| story.submit("guest", chips, "priority = 9"));
    let stays = story.submit("group", 8, "");
    assert_eq!(story.are(&guests), ["east", "east"]);
    assert_eq!(story.is(stays), "waiting", "guests make no room for each other");
    let own = story.submit("own", 8, "");
    assert_ne!(story.is(own), "waiting");
    assert_eq!(story.are(&guests).iter().filter(|at| **at == "leaving").count(), 1);
    story.stage.audit();
}

#[test]
fn a_guest_that_needs_longer_than_the_notice_is_left_alone() {
    let mut story = story("recall_notice = \"1m\"");
    let slow = "[checkpoint]\npath = \"ck\"\ngrace = \"5m\"\n";
    let guests = [8, 8].map(|chips| story.submit("guest", chips, slow));
    let own = story.submit("own", 8, "");
    assert_eq!(story.are(&guests), ["east", "east"]);
    assert_eq!(story.is(own), "waiting");
    story.stage.audit();
}

#[test]
fn an_owner_takes_back_as_much_as_it_says_for_as_long_as_it_says() {
    let mut story = story("recall_notice = \"10m\"");
    let guests = [8, 4, 4].map(|chips| story.submit("guest", chips, ""));
    let owner = Principal { role: Role::Center(center("east")), token: TokenId::new(2) };
    let answer = recall(&mut story, &owner, 4, Span::from_secs(600), HOUR);
    let Answer::Recalled { leave } = answer else { panic!("{answer:?}") };
    assert_eq!(leave.len(), 1, "the fewest that will do");
    assert_eq!(story.are(&guests).iter().filter(|at| **at == "leaving").count(), 1);
    let gone = guests.into_iter().find(|job| story.is(*job) == "leaving").unwrap();
    story.leave(&[gone]);
    // Its chips stay free: no guest comes in its place, its own do.
    let (another, own) = (story.submit("group", 1, ""), story.submit("own", 4, ""));
    assert_eq!(story.are(&[gone, another, own]), ["waiting", "waiting", "east"]);
    story.ends(own);
    story.stage.pass(HOUR, &["east"]);
    story.settle();
    assert_eq!(story.is(another), "east");
    story.stage.audit();
}

#[test]
fn what_cannot_be_back_in_time_is_refused_with_the_earliest_time_and_nothing_is_done() {
    let mut story = story("recall_notice = \"10m\"");
    let fixed = "preemptible = false\n";
    let guests = [story.submit("guest", 8, ""), story.submit("guest", 8, fixed)];
    let soon = Span::from_secs(300);
    let answer = recall(&mut story, &operator(), 16, soon, HOUR);
    let Answer::Rejected(Rejected::Conflict { why }) = answer else { panic!("{answer:?}") };
    let expected = "p: 8 of the chips cannot be back by then: job-2.1 has some, which may not be \
                    stopped before; the earliest is 1970-01-01T01:00:";
    assert!(why.starts_with(expected), "{why}");
    assert_eq!(story.are(&guests), ["east", "east"]);
    let stranger = Principal { role: Role::Center(center("west")), token: TokenId::new(3) };
    let answer = recall(&mut story, &stranger, 1, soon, HOUR);
    assert!(matches!(answer, Answer::Rejected(Rejected::Forbidden { .. })), "{answer:?}");
    // What may be stopped is enough for half of it.
    let answer = recall(&mut story, &operator(), 8, soon, HOUR);
    assert!(matches!(answer, Answer::Recalled { .. }), "{answer:?}");
    assert_eq!(story.are(&guests), ["leaving", "east"]);
    story.stage.audit();
}

#[test]
fn a_job_that_takes_more_than_is_ever_lent_is_told_so() {
    let mut story = story("lend_percent = 25");
    let job = story.submit("guest", 5, "");
    assert_eq!(story.is(job), "waiting");
    assert_eq!(story.why(job), "its owner lends 4 of its chips, and the job takes 5");
}

/// Submits a job and has its center refuse what it is offered; says how often until `span` has passed.
fn refused_within(story: &mut Story, span: Span) -> usize {
    let (until, mut times) = (story.stage.now + span, 0);
    while story.stage.now < until {
        story.stage.pass(Span::from_secs(1), &["east"]);
        let jobs: Vec<_> = story.stage.controller.world().jobs.iter().cloned().collect();
        for live in jobs.iter().filter_map(|job| job.phase.attempt()).filter(|live| !live.is_over())
        {
            let report = Report::Refused { attempt: live.attempt, why: Refused::Drained };
            story.stage.report("east", report);
            times += 1;
        }
    }
    times
}

#[test]
fn a_center_that_refuses_is_asked_again_ever_later_and_at_once_when_its_agent_is_there_anew() {
    let mut story = story("");
    let file = "name = \"j\"\ncommand = [\"true\"]\nlimit = \"1h\"\non = \"cuda\"\n";
    let file = model::file::job::read("job.toml", file, model::file::job::Format::Toml).unwrap();
    let spec = file.spec(model::TenantId::new("own").unwrap(), story.stage.now).unwrap();
    story.stage.submit(Arc::new(spec));
    // At once, after one minute, and after two more.
    assert_eq!(refused_within(&mut story, Span::from_secs(58)), 1);
    assert_eq!(refused_within(&mut story, Span::from_secs(60)), 1);
    assert_eq!(refused_within(&mut story, Span::from_secs(50)), 0);
    assert_eq!(refused_within(&mut story, Span::from_secs(30)), 1);
    assert_eq!(refused_within(&mut story, Span::from_secs(200)), 0);
    story.stage.join("east");
    assert_eq!(refused_within(&mut story, Span::from_secs(5)), 1);
}
