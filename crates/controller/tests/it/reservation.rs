//! Chips booked for later: who may book them, who runs in them, and what becomes of those nobody uses.

use super::quota::Story;
use super::{center, operator};
use controller::{Answer, Change, Command, Of, Rejected};
use model::file::job::Format;
use model::{Chips, JobId, PoolId, Principal, Role, Span, TenantId, TokenId};
use std::sync::Arc;

const HOUR: Span = Span::from_secs(3_600);
const MINUTE: Span = Span::from_secs(60);

/// A center of two nodes with eight chips each that lends by these rules, a tenant at home there, a guest
/// and one that is below it.
fn story(rules: &str, guest: &str) -> Story {
    Story::on(&network(rules, guest), &["east"])
}

fn network(rules: &str, guest: &str) -> String {
    format!(
        "[[center]]\ncenter = \"east\"\nowner = \"east\"\nregion = \"cn/east\"\nlatitude = 31\n\
         longitude = 121\ntime_zone = \"Asia/Shanghai\"\nengine = \"process\"\n{rules}\n\
         [[center.pool]]\npool = \"p\"\nchip = \"nvidia-a100-sxm4-80\"\nnodes = 2\n\
         chips_per_node = 8\ncores = 64\nmemory = \"256 GiB\"\nprice_per_chip_hour = \"5 CNY\"\n\
         [[flavor]]\nflavor = \"cuda\"\nclasses = [\"cuda\"]\n\
         [[tenant]]\ntenant = \"own\"\nhome = \"east\"\n\
         [[tenant]]\ntenant = \"guest\"\n{guest}\n\
         [[tenant]]\ntenant = \"group\"\nparent = \"guest\"\n"
    )
}

/// Books so many chips of one node for an hour, from so long after now.
fn try_to_book(story: &mut Story, of: &str, chips: u32, start: &str, more: &str) -> Answer {
    let limit = if more.contains("limit") { "" } else { "limit = \"1h\"\n" };
    let text = format!(
        "name = \"w\"\nkind = \"reservation\"\non = \"cuda\"\nchips = {chips}\nstart = \"{start}\"\n\
         {limit}{more}"
    );
    let file = model::file::job::read("job.toml", &text, Format::Toml).unwrap();
    let spec = file.spec(TenantId::new(of).unwrap(), story.stage.now).unwrap();
    let command = Command::Submit { jobs: vec![Arc::new(spec)], key: None };
    story.ask(&operator(), command)
}

fn book(story: &mut Story, of: &str, chips: u32, start: &str, more: &str) -> JobId {
    match try_to_book(story, of, chips, start, more) {
        Answer::Submitted { first, .. } => first,
        other => panic!("{other:?}"),
    }
}

fn refused(answer: Answer) -> String {
    match answer {
        Answer::Rejected(rejected) => rejected.to_string(),
        other => panic!("{other:?}"),
    }
}

/// What a job names that runs in a reservation.
fn inside(reservation: JobId, limit: &str) -> String {
    format!("reservation = \"{reservation}\"\nlimit = \"{limit}\"\npreemptible = false\n")
}

fn word(story: &Story, job: JobId) -> &'static str {
    story.stage.controller.world().job(job).unwrap().word()
}

fn pass(story: &mut Story, span: Span) {
    story.stage.pass(span, &["east"]);
    story.settle();
}

#[test]
fn nobody_runs_into_a_window_and_who_is_gone_before_it_may_use_its_chips() {
    let mut story = story("", "");
    let window = book(&mut story, "own", 8, "1h", "");
    assert_eq!(word(&story, window), "booked");
    let long = [0, 1].map(|_| story.submit("guest", 8, "limit = \"90m\""));
    let short = story.submit("guest", 8, "limit = \"50m\"");
    assert_eq!(story.are(&[long[0], long[1], short]), ["east", "waiting", "east"]);
    story.stage.audit();
    // Its window opens by itself, and nobody who does not name it is let in.
    story.ends(short);
    pass(&mut story, HOUR);
    assert_eq!(word(&story, window), "open");
    let stranger = story.submit("guest", 1, "limit = \"1m\"");
    assert_eq!(story.is(stranger), "waiting");
    story.stage.audit();
}

#[test]
fn jobs_that_name_it_start_with_the_window_on_its_chips_and_end_with_it() {
    let mut story = story("", "");
    let window = book(&mut story, "guest", 4, "1h", "");
    let jobs = [
        story.submit("guest", 2, &inside(window, "30m")),
        story.submit("group", 2, &inside(window, "60m")),
        story.submit("group", 2, &inside(window, "20m")),
    ];
    // Whose turn it is, and that half an hour is left after the first.
    assert_eq!(story.are(&jobs), ["waiting"; 3]);
    let reservation = |story: &Story, job| {
        let view = story.stage.controller.board().view();
        view.reservation(job).map(|told| (told.start, told.slots.clone()))
    };
    assert!(jobs.iter().all(|job| reservation(&story, *job).is_some()), "all were told a start");
    pass(&mut story, HOUR);
    assert_eq!(story.are(&jobs), ["east", "east", "waiting"]);
    story.stage.audit();
    story.ends(jobs[0]);
    assert_eq!(story.is(jobs[2]), "east");
    story.ends(jobs[1]);
    story.ends(jobs[2]);
    assert_eq!(word(&story, window), "open");
    story.stage.audit();
    let used = story.stage.controller.world().used(window).unwrap();
    assert!(used.had.0 > 0);
}

#[test]
fn what_runs_in_it_is_the_tenants_own_and_fits_what_is_left_of_it() {
    let mut story = story("", "");
    let window = book(&mut story, "guest", 4, "1h", "");
    let submit = |story: &mut Story, of: &str, more: &str| {
        let text = format!("name = \"j\"\ncommand = [\"true\"]\non = \"cuda\"\nchips = 1\n{more}");
        let file = model::file::job::read("job.toml", &text, Format::Toml).unwrap();
        let spec = file.spec(TenantId::new(of).unwrap(), story.stage.now).unwrap();
        story.ask(&operator(), Command::Submit { jobs: vec![Arc::new(spec)], key: None })
    };
    let said = refused(submit(&mut story, "own", &inside(window, "10m")));
    assert_eq!(said, "job-1 is guest's, of which own is no part");
    let said = refused(submit(&mut story, "guest", &inside(window, "61m")));
    assert!(said.starts_with("job-1 is open for 1h 0m yet"), "{said}");
    let said = refused(submit(&mut story, "guest", &inside(JobId::new(7), "1m")));
    assert_eq!(said, "there is no reservation job-7");
    // It has no more chips than were booked.
    let wide = story.submit("guest", 8, &inside(window, "10m"));
    pass(&mut story, HOUR);
    assert_eq!(story.is(wide), "waiting");
    assert_eq!(story.why(wide), "no window long enough");
}

#[test]
fn those_below_a_tenant_may_use_its_window_and_strangers_do_not_know_it() {
    let mut story = story("", "");
    let window = book(&mut story, "guest", 4, "1h", "");
    let mut submit = |of: &str| {
        let text = format!(
            "name = \"j\"\ncommand = [\"true\"]\non = \"cuda\"\nchips = 1\n{}",
            inside(window, "10m")
        );
        let file = model::file::job::read("job.toml", &text, Format::Toml).unwrap();
        let tenant = TenantId::new(of).unwrap();
        let spec = file.spec(tenant.clone(), story.stage.now).unwrap();
        let by = Principal { role: Role::Tenant(tenant), token: TokenId::new(2) };
        story.ask(&by, Command::Submit { jobs: vec![Arc::new(spec)], key: None })
    };
    assert!(matches!(submit("group"), Answer::Submitted { .. }));
    assert_eq!(refused(submit("own")), "there is no reservation job-1");
}

#[test]
fn a_job_that_fits_into_a_window_no_more_is_told_no_start() {
    let mut story = story("", "");
    let window = book(&mut story, "guest", 1, "1h", "");
    let half = format!("{}[[variant]]\non = \"cuda\"\nchips = 0.5\n", inside(window, "40m"));
    let jobs = [0, 1, 2].map(|_| story.submit("guest", 1, &half));
    let view = story.stage.controller.board().view();
    let told = jobs.map(|job| view.reservation(job).is_some());
    assert_eq!(told, [true, true, false]);
    pass(&mut story, HOUR);
    assert_eq!(story.are(&jobs), ["east", "east", "waiting"]);
    assert_eq!(story.why(jobs[2]), "no window long enough");
    story.stage.audit();
}

#[test]
fn a_window_that_nobody_uses_lapses_and_so_do_the_jobs_that_wait_for_it() {
    let mut story = story("", "");
    let window = book(&mut story, "guest", 8, "1h", "lapse_after = \"10m\"");
    let held = story.submit("guest", 8, &format!("{}hold = true\n", inside(window, "10m")));
    let others = [0, 1].map(|_| story.submit("own", 8, "limit = \"3h\""));
    assert_eq!(story.are(&others), ["east", "waiting"]);
    pass(&mut story, HOUR);
    assert_eq!(word(&story, window), "open");
    pass(&mut story, Span(MINUTE.0 * 10));
    assert_eq!([word(&story, window), word(&story, held)], ["lapsed", "lapsed"]);
    assert_eq!(story.is(others[1]), "east", "its chips are everybody's");
    story.stage.audit();
}

#[test]
fn a_window_that_was_used_ends_completed_when_it_closes() {
    let mut story = story("", "");
    let window = book(&mut story, "guest", 8, "1h", "lapse_after = \"40m\"");
    let job = story.submit("guest", 8, &inside(window, "30m"));
    pass(&mut story, HOUR);
    pass(&mut story, Span(MINUTE.0 * 29));
    story.ends(job);
    pass(&mut story, Span(MINUTE.0 * 32));
    assert_eq!(word(&story, window), "completed");
    story.stage.audit();
}

#[test]
fn what_was_promised_before_is_kept_and_a_window_is_refused_with_the_earliest_there_is() {
    let mut story = story("", "");
    let jobs = [0, 1, 2].map(|_| story.submit("own", 8, "limit = \"2h\"\npreemptible = false"));
    assert_eq!(story.are(&jobs), ["east", "east", "waiting"]);
    // Until two hours from now all runs; then one waits that was told its start.
    let said = refused(try_to_book(&mut story, "guest", 16, "150m", ""));
    assert!(said.contains("wants"), "{said}");
    book(&mut story, "guest", 8, "150m", "");
    let said = refused(try_to_book(&mut story, "guest", 8, "150m", ""));
    assert!(said.starts_with("nowhere are these chips free from 1970-01-01T02:30:"), "{said}");
    assert!(said.contains("the earliest is 1970-01-01T03:30:"), "{said}");
    story.stage.audit();
    let said = refused(try_to_book(&mut story, "guest", 8, "1h", "centers = [\"west\"]"));
    assert_eq!(said, "there is no center west");
}

#[test]
fn it_counts_against_quotas_while_it_is_open_and_not_before() {
    let quota = "[[tenant.quota]]\nflavor = \"cuda\"\nnominal = 8";
    let mut story = story("", quota);
    book(&mut story, "guest", 8, "1h", "");
    let short = story.submit("guest", 8, "limit = \"30m\"");
    assert_eq!(story.is(short), "east", "it is gone before the window opens");
    story.ends(short);
    let long = story.submit("guest", 1, "limit = \"2h\"");
    assert_eq!(story.is(long), "waiting");
    assert!(story.why(long).contains("`cuda`"), "{}", story.why(long));
    let said = refused(try_to_book(&mut story, "guest", 1, "90m", ""));
    assert!(said.contains("`cuda`"), "{said}");
    book(&mut story, "guest", 8, "2h", "");
    story.stage.audit();
    // What runs in it has its quota by it.
    let job = story.submit("guest", 8, &inside(JobId::new(1), "1h"));
    pass(&mut story, HOUR);
    assert_eq!(story.are(&[job, long]), ["east", "waiting"]);
    story.stage.audit();
}

/// A gibibyte in a center from which it takes a minute and a half to come.
const FAR: &str = r#"
[[center]]
center = "west"
owner = "west"
region = "cn/west"
latitude = 31
longitude = 121
time_zone = "Asia/Shanghai"
engine = "process"
store = "64 GiB"

[[center.pool]]
pool = "plain"
nodes = 1
cores = 16
memory = "32 GiB"
price_per_node_hour = "1 CNY"

[[link]]
link = "west--east"
a = "west"
b = "east"
capacity = "100 Mbit/s"
latency = "1ms"
carrier = "telecom"
price_per_gbps_hour = "1 CNY"
"#;

#[test]
fn what_outlasts_a_window_is_spent_before_chips_are_given_to_others() {
    let mut story = story("", "budget = \"9 card-hours\"");
    let window = book(&mut story, "guest", 8, "1h", "");
    let owners = story.submit("own", 8, "limit = \"3h\"\npreemptible = false");
    let inside = story.submit("guest", 8, &inside(window, "1h"));
    pass(&mut story, HOUR);
    assert_eq!(story.are(&[owners, inside]), ["east"; 2]);
    // As the window has it there is one card-hour left, and no chip.
    let waits = story.submit("guest", 1, "limit = \"1h\"");
    pass(&mut story, Span(MINUTE.0 * 75));
    assert_eq!(story.are(&[owners, inside, waits]), ["east", "east", "waiting"]);
    story.end_together(&[owners, inside]);
    assert_eq!(story.is(waits), "waiting");
    assert!(story.why(waits).contains("budget"), "{}", story.why(waits));
    story.stage.audit();
}

#[test]
fn what_is_given_before_a_window_opens_counts_then_though_it_starts_after_it() {
    let guest = "[[tenant.quota]]\nflavor = \"cuda\"\nnominal = 4";
    let mut story = Story::on(&(network("store = \"64 GiB\"", guest) + FAR), &["east", "west"]);
    story.stage.put_at("west", "corpus");
    let _window = book(&mut story, "guest", 1, "30s", "limit = \"20s\"");
    let reads = "[[input]]\nname = \"in\"\ndataset = \"corpus\"";
    let waits = story.submit("guest", 4, reads);
    // It would begin when the window is over, and has its four chips of the quota from now on.
    assert_eq!(story.is(waits), "waiting");
    story.stage.pass(MINUTE, &["east", "west"]);
    story.settle();
    assert_eq!(story.is(waits), "east");
    story.stage.audit();
}

#[test]
fn guests_book_no_more_than_is_lent_and_what_is_booked_is_not_taken_back() {
    let mut story = story("lend_percent = 25", "");
    let said = refused(try_to_book(&mut story, "guest", 8, "1h", ""));
    assert!(said.contains("its owner lends 4 of its chips, and the job takes 8"), "{said}");
    let window = book(&mut story, "guest", 4, "1h", "");
    let jobs = ["30m", "2h"].map(|limit| story.submit("group", 2, &format!("limit = \"{limit}\"")));
    assert_eq!(story.are(&jobs), ["east", "waiting"]);
    let pools = vec![(PoolId::new("p").unwrap(), Chips::whole(16))];
    let now = story.stage.now;
    let (in_time, until) = (now + MINUTE, now + Span(HOUR.0 * 4));
    let recall = Command::Recall { center: center("east"), pools, in_time, until };
    let said = refused(story.ask(&operator(), recall));
    assert!(said.contains(&format!("{window}.1 has some")), "{said}");
    story.stage.audit();
}

#[test]
fn it_is_canceled_once_nothing_runs_in_it() {
    let mut story = story("", "");
    let window = book(&mut story, "guest", 8, "1h", "");
    let job = story.submit("guest", 4, &inside(window, "30m"));
    pass(&mut story, HOUR);
    let said = refused(story.ask(&operator(), Command::Change(Of::Job(window), Change::Cancel)));
    assert!(said.starts_with(&format!("{job} runs in {window}")), "{said}");
    story.ends(job);
    let answer = story.ask(&operator(), Command::Change(Of::Job(window), Change::Cancel));
    assert!(matches!(answer, Answer::Job(_)), "{answer:?}");
    assert_eq!(word(&story, window), "canceled");
    let said = story.ask(&operator(), Command::Change(Of::Job(window), Change::Cancel));
    assert!(!matches!(said, Answer::Rejected(Rejected::Conflict { .. })), "again changes nothing");
    story.stage.audit();
}

#[test]
fn a_server_that_starts_anew_knows_its_windows() {
    let mut story = story("", "");
    let window = book(&mut story, "guest", 8, "1h", "lapse_after = \"1h\"");
    let job = story.submit("guest", 4, &inside(window, "30m"));
    story.stage.restart();
    story.stage.join("east");
    let (long, short) =
        (story.submit("own", 16, "limit = \"2h\""), story.submit("own", 16, "limit = \"30m\""));
    assert_eq!(story.are(&[long, short]), ["waiting", "east"]);
    story.ends(short);
    pass(&mut story, HOUR);
    assert_eq!(story.is(job), "east");
    story.stage.restart();
    story.stage.join("east");
    story.ends(job);
    pass(&mut story, HOUR);
    assert_eq!(word(&story, window), "completed");
    story.stage.audit();
}

#[test]
fn with_a_center_that_is_lost_its_windows_are_over_and_what_was_to_run_in_them() {
    let mut story = story("", "");
    let window = book(&mut story, "guest", 8, "1h", "");
    let jobs = [2, 2].map(|chips| story.submit("guest", chips, &inside(window, "30m")));
    let waits = story.submit("guest", 8, &inside(window, "30m"));
    pass(&mut story, HOUR);
    assert_eq!(story.are(&jobs), ["east", "east"]);
    story.stage.command(Command::DeclareLost(center("east")));
    assert_eq!(word(&story, window), "failed");
    assert_eq!([jobs[0], jobs[1], waits].map(|job| word(&story, job)), ["lapsed"; 3]);
    story.stage.audit();
}
