//! Scripts of Slurm, submitted and watched as Slurm users do.

use std::fs;
use whole_system::Plan;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_of_slurm_runs_where_slurm_is_not() {
    let net = Plan::laptop().only(&["lingang"]).start().await;
    let lab = net.tenant("lab").clone();
    let script = "#!/bin/bash\n\
                  #SBATCH --job-name=greet --time=5 --mem=100M\n\
                  #SBATCH --gres=gpu:a100:2\n\
                  #SBATCH --output=greet-%j.out\n\
                  \n\
                  echo $SLURM_JOB_ID $SLURM_JOB_NAME $SLURM_GPUS_ON_NODE $CUDA_VISIBLE_DEVICES \"$@\"\n\
                  until [ -e \"$1\" ]; do sleep 0.1; done\n\
                  exit 3\n";
    fs::write(net.dir().join("greet.sh"), script).unwrap();
    let go = net.dir().join("go").display().to_string();

    let done = net.cli(&lab, &["sbatch", "-p", "lingang", "greet.sh", &go, "two words"]).await;
    assert_eq!((done.code, &*done.stdout), (Some(0), "Submitted batch job 1\n"), "{}", done.stderr);
    assert!(done.stderr.starts_with("sbatch: greet.sh:4:9: --output"), "{}", done.stderr);
    net.in_state("job-1".parse().unwrap(), "running").await;

    let queue = net.cli(&lab, &["squeue", "-h", "-o", "%i %P %j %u %t %D %R %l"]).await;
    assert_eq!(queue.stdout, "1 lingang greet lab R 1 a100-0 5:00\n", "{}", queue.stderr);
    let pools = net.cli(&lab, &["sinfo", "-h", "-p", "lingang", "-o", "%P %a %D %t %N"]).await;
    assert_eq!(pools.stdout, "lingang up 2 mix a100-[0-1]\n", "{}", pools.stderr);

    let held = ["sbatch", "--parsable", "--hold", "-t1", "--mem=1M", "--wrap=true"];
    let held = net.cli(&lab, &held).await;
    assert_eq!(held.stdout, "2\n", "{}", held.stderr);
    let queue = net.cli(&lab, &["squeue", "-h", "-t", "PD", "-o", "%i %j %R"]).await;
    assert_eq!(queue.stdout, "2 wrap (JobHeldUser)\n", "{}", queue.stderr);
    let done = net.cli(&lab, &["scontrol", "release", "2"]).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(net.ended("job-2".parse().unwrap()).await.job.state, "completed");

    fs::write(&go, "").unwrap();
    let greet = net.ended("job-1".parse().unwrap()).await.job;
    assert_eq!((&*greet.state, greet.outcome.as_deref()), ("failed", Some("exit code 3")));
    let said = format!("1 greet 2 0,1 {go} two words\n");
    assert_eq!(net.output(greet.job).await, said);
    let queue = net.cli(&lab, &["squeue", "-h", "-t", "all", "-o", "%i %T"]).await;
    assert_eq!(queue.stdout, "2 COMPLETED\n1 FAILED\n", "{}", queue.stderr);

    let wrong = ["sbatch", "--gres=gpu:a1000:1", "--wait", "greet.sh"];
    let wrong = net.cli(&lab, &wrong).await;
    assert_eq!(wrong.code, Some(5), "{}{}", wrong.stdout, wrong.stderr);
    assert!(wrong.stderr.contains("`a1000` is no chip that is known"), "{}", wrong.stderr);
    let wrong = net.cli(&lab, &["sbatch", "--partition=gpu", "greet.sh"]).await;
    assert_eq!(wrong.code, Some(5), "{}{}", wrong.stdout, wrong.stderr);
    let (what, help) = ("there is no center `gpu`", "there are kunshan, lingang, zhangjiang");
    assert!(wrong.stderr.contains(what) && wrong.stderr.contains(help), "{}", wrong.stderr);
    assert_eq!(net.jobs().await.len(), 2);

    let far = net.cli(&lab, &["sbatch", "--hold", "--gres=gpu:h100:1", "greet.sh"]).await;
    assert_eq!(far.stdout, "Submitted batch job 3\n", "{}", far.stderr);
    assert!(far.stderr.contains("no center has nvidia-h100-pcie or"), "{}", far.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scancel_ends_the_jobs_that_fit() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let lab = net.tenant("lab").clone();
    for name in ["one", "two", "two"] {
        let args = ["sbatch", "-Q", "-t", "10", "--mem=10M", "-J", name, "--wrap", "sleep 600"];
        let done = net.cli(&lab, &args).await;
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert_eq!(done.stderr, "");
    }
    let done = net.cli(&lab, &["scancel"]).await;
    assert_eq!(done.code, Some(5), "{}{}", done.stdout, done.stderr);
    let done = net.cli(&lab, &["scancel", "--name=two"]).await;
    assert_eq!((done.code, &*done.stdout), (Some(0), ""), "{}", done.stderr);
    for job in ["job-2", "job-3"] {
        assert_eq!(net.ended(job.parse().unwrap()).await.job.state, "canceled");
    }
    let queue = net.cli(&lab, &["squeue", "-h", "-o", "%i"]).await;
    assert_eq!(queue.stdout, "1\n", "{}", queue.stderr);
    let done = net.cli(&lab, &["scancel", "1"]).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_gets_the_end_and_the_files_a_script_names() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let lab = net.tenant("lab").clone();
    let run = async |more: &[&str]| {
        let wrap = "--wrap=echo said; echo complained >&2; exit 4";
        let args = ["sbatch", "--wait", "-t1", "--mem=10M", "-Jtalk", wrap];
        net.cli(&lab, &[&args, more].concat()).await
    };
    let text = |name: &str| fs::read_to_string(net.dir().join(name)).unwrap();

    let done = run(&["-o", "%x-%j.out"]).await;
    assert_eq!((done.code, &*done.stderr), (Some(10), ""), "{}", done.stdout);
    assert_eq!(text("talk-1.out"), "said\ncomplained\n");
    let done = run(&["-o", "talk-1.out", "-e", "%j.err", "--open-mode=append"]).await;
    assert_eq!((done.code, &*done.stderr), (Some(10), ""), "{}", done.stdout);
    assert_eq!(text("talk-1.out"), "said\ncomplained\nsaid\n");
    assert_eq!(text("2.err"), "complained\n");
    let done = run(&["-o", "%N.out"]).await;
    assert_eq!(done.code, Some(5), "{}{}", done.stdout, done.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_is_signaled_before_its_end() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let lab = net.tenant("lab").clone();
    let script = "#!/bin/bash\n\
                  #SBATCH --time=0:02 --mem=10M --signal=B:USR1@20\n\
                  trap 'echo asked > $PORTOLAN_CHECKPOINT/step; cat $PORTOLAN_CHECKPOINT/step; exit' USR1\n\
                  sleep 600 &\n\
                  wait\n";
    fs::write(net.dir().join("long.sh"), script).unwrap();
    let done = net.cli(&lab, &["sbatch", "--wait", "--quiet", "long.sh"]).await;
    assert_eq!(done.code, Some(12), "{}{}", done.stdout, done.stderr);
    assert_eq!(net.output("job-1".parse().unwrap()).await, "asked\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrays_and_what_comes_after_them_are_as_in_slurm() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let lab = net.tenant("lab").clone();
    let script = "#!/bin/sh\n\
                  #SBATCH --job-name=sweep --time=5 --mem=100M --array=2-6:2%2\n\
                  echo $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT\n\
                  until [ -e \"$1\" ]; do sleep 0.1; done\n\
                  exit 0\n";
    fs::write(net.dir().join("sweep.sh"), script).unwrap();
    let go = net.dir().join("go").display().to_string();
    let done = net.cli(&lab, &["sbatch", "sweep.sh", &go]).await;
    assert_eq!((done.code, &*done.stdout), (Some(0), "Submitted batch job 1\n"), "{}", done.stderr);
    let after = ["sbatch", "--parsable", "-t1", "--mem=1M", "-d", "afterok:1", "--wrap=true"];
    let after = net.cli(&lab, &after).await;
    assert_eq!(after.stdout, "4\n", "{}", after.stderr);
    for job in ["job-1", "job-2"] {
        net.in_state(job.parse().unwrap(), "running").await;
    }
    let queue = net.cli(&lab, &["squeue", "-h", "-o", "%i %j %t %r"]).await;
    let said = "4 wrap PD Dependency\n1_6 sweep[6] PD Dependency\n1_4 sweep[4] R None\n1_2 sweep[2] R None\n";
    assert_eq!(queue.stdout, said, "{}", queue.stderr);
    let one = net.cli(&lab, &["squeue", "-h", "-j", "1_4", "-o", "%i %F %K"]).await;
    assert_eq!(one.stdout, "1_4 1 4\n", "{}", one.stderr);

    let anew = net.cli(&lab, &["scontrol", "requeue", "1_4"]).await;
    assert_eq!(anew.code, Some(0), "{}", anew.stderr);
    fs::write(&go, "").unwrap();
    let after = net.ended("job-4".parse().unwrap()).await.job;
    assert_eq!(after.state, "completed");
    for (job, index) in [("job-1", 2), ("job-2", 4), ("job-3", 6)] {
        assert_eq!(net.output(job.parse().unwrap()).await, format!("1 {index} of 3\n"));
    }
    assert_eq!(net.ended("job-2".parse().unwrap()).await.job.attempts, 2);
    let shown = net.cli(&lab, &["scontrol", "show", "job", "1_6"]).await;
    assert!(shown.stdout.starts_with("JobId=3 ArrayJobId=1 ArrayTaskId=6"), "{}", shown.stdout);
}
