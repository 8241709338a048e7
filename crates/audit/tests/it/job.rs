//! Jobs are not lost, run once at a time and end once.

use super::scenario::{Told, check, check_changed};
use model::{JobId, Phase, PlanId};

#[test]
fn a_job_has_one_live_attempt_and_its_epochs_go_up_by_one() {
    check(
        "
        job 1
        offer 1.1 sh/a 0:0
        offer 1.2 bj/a 0:0
        ",
        "log fencing: job-1.2 is offered when job-1 has a live attempt",
    );
    check(
        "
        job 1
        job 2 hold
        offer 1.2 sh/a 0:0
        offer 2.1 sh/a 0:0
        ",
        "
        log fencing: job-1.2 is offered after job-1.0
        log fencing: job-2.1 is offered when job-2 is held
        ",
    );
}

#[test]
fn a_report_of_an_older_attempt_must_not_become_a_fact() {
    check(
        "
        job 1
        offer 1.1 sh/a 0:0
        end 1.1
        requeue 1
        offer 1.2 sh/a 0:0
        start 1.1
        end 1.1
        start 1.2
        requeue 1
        ",
        "
        log fencing: attempt-ended is about job-1.1, when job-1 has a live attempt, epoch 2
        log fencing: attempt-started is about job-1.1, when job-1 has a live attempt, epoch 2
        log fencing: job-requeued is about job-1, which has a live attempt
        ",
    );
}

#[test]
fn epochs_that_no_facts_lead_to_are_told() {
    let twice = "
        job 1
        offer 1.1 sh/a 0:0
        end 1.1
        requeue 1
        offer 1.2 sh/a 0:0
    ";
    check_changed(
        twice,
        |world| world.jobs.get_mut(1).unwrap().past[0].epoch = 2,
        "world fencing: job-1.2 is over and job-1.2 is live",
    );
    check_changed(
        twice,
        |world| world.jobs.get_mut(1).unwrap().epoch = 3,
        "world fencing: job-1 is at epoch 3 and its live attempt is job-1.2",
    );
    check_changed(
        "job 1",
        |world| world.jobs.get_mut(1).unwrap().epoch = 1,
        "world fencing: job-1 had 1 attempts and the last that is over is 0",
    );
}

#[test]
fn a_job_ends_once_and_nothing_follows() {
    let told = "
        job 1
        job 2
        job 1
        done 1
        done 1
        held 1
        archive 2
        archive 1
        done 1
        job 1
    ";
    check(
        told,
        "
        log no loss: job-1 was submitted when its number had been handed out
        log no loss: job-2 is archived and had not ended
        log no loss: job-ended is about job-1, which has ended
        log no loss: job-ended is about job-1, which is not there
        log no loss: job-held is about job-1, which has ended
        ",
    );
    let open = Told::of("job 1\n job 2\n job 3\n done 2");
    assert_eq!(open.history.unfinished().collect::<Vec<_>>(), [JobId::new(1), JobId::new(3)]);
}

#[test]
fn a_lost_job_and_a_wrong_list_are_found() {
    check_changed(
        "job 1\n job 2\n done 2",
        |world| {
            world.jobs.get_mut(1).unwrap().phase = Phase::Held;
            world.ended.clear();
        },
        "
        world no loss: 1 jobs here are completed and 0 ever were
        world no loss: job-1 is listed as waiting and is not
        ",
    );
    check_changed(
        "job 1",
        |world| {
            world.jobs.take(1);
            world.ended.insert("completed".into(), 2);
        },
        "
        world no loss: 2 jobs ended and 0 have not, of 1 submitted
        world no loss: job-1 is listed as waiting and is not
        ",
    );
}

#[test]
fn a_number_is_not_handed_out_twice() {
    check_changed(
        "
        data d at=sh
        job 1
        offer 1.1 sh/a 0:0 plan=4
        move 3 d sh>bj over=sh>,bj<
        ",
        |world| world.next = world::Next { plan: PlanId::new(4), ..world::Next::default() },
        "
        world no loss: 0 jobs ended and 1 have not, of 0 submitted
        world no loss: job-1 exists and job-1 would come next
        world no loss: job-1.1 is of plan-4, and plan-4 comes next
        world no loss: transfer-3 exists and transfer-1 would come next
        ",
    );
}

#[test]
fn a_submission_key_stands_for_one_submission() {
    check(
        "
        job 1 key=k
        @5
        job 2 key=k
        forget 6
        job 3 key=k
        ",
        "log idempotence: job-2 was submitted under the key of job-1",
    );
    check(
        "
        job 1 key=k count=3
        job 2 key=l
        ",
        "world idempotence: the submissions of job-1 and job-2 share jobs",
    );
    check_changed(
        "job 1 key=k\n job 2 key=l",
        |world| world.keys.values_mut().for_each(|submission| submission.first = JobId::new(1)),
        "world idempotence: two submission keys stand for job-1",
    );
}

#[test]
fn a_job_comes_after_those_it_is_to_come_after() {
    let told = "
        job 1
        job 2 after=1
        job 3 after=1 when=any
        job 4 after=1
        unblock 2
        offer 2.1 sh/a 0:0
        canceled 1
        unblock 3
        offer 3.1 sh/a 0:1
        unmet 4 1
        job 5 tasks=3 at-once=1
        offer 5.1 sh/a 1:0
        unblock 6
        offer 6.1 sh/a 1:1
        job 8 tasks=3 after=5 when=corr
        unblock 9
        offer 9.1 bj/a 0:0
        unmet 8 5
    ";
    check(
        told,
        "
        log order: 2 of the array job-5 have a place, more than it says
        log order: job-2 is offered a place before job-1, after which it is to come
        log order: job-8 ends for job-5, which has not failed
        log order: job-9 is offered a place before job-5, after which it is to come
        ",
    );
}
