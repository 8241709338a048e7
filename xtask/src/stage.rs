//! Stages of a long check: run in order, timed, counted, stopped at the first that fails.

use crate::shell;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many tests ran. A stage without tests of its own counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Count {
    const ONE_PASSED: Self = Self { passed: 1, failed: 0 };
    const ONE_FAILED: Self = Self { passed: 0, failed: 1 };

    /// Reads a summary line of `cargo test` or nextest; `None` for any other line.
    fn read(line: &str) -> Option<Self> {
        // nextest indents what tests print, so an indented result is not a summary of cargo's.
        if !line.starts_with("test result:") && !line.trim_start().starts_with("Summary [") {
            return None;
        }
        let figure = |label: &str| {
            let before = &line[..line.find(label)?];
            before.rsplit(' ').next()?.parse().ok()
        };
        let timed_out = figure(" timed out").unwrap_or(0);
        Some(Self {
            passed: figure(" passed").unwrap_or(0),
            failed: figure(" failed").unwrap_or(0) + timed_out,
        })
    }
}

/// A stage that ran, for the closing table.
struct Done {
    name: &'static str,
    count: Count,
    took: Duration,
}

/// The stages run so far.
#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<Done>,
}

impl Stages {
    /// Runs one stage; `alone` is the command that repeats only it.
    pub(crate) fn stage(
        &mut self,
        name: &'static str,
        alone: &str,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.finish(name, alone, || match work() {
            Ok(()) => (Count::ONE_PASSED, Ok(())),
            Err(error) => (Count::ONE_FAILED, Err(error)),
        })
    }

    /// Runs one stage that is a command and repeats what it prints.
    pub(crate) fn command(&mut self, name: &'static str, mut command: Command) -> Result<()> {
        self.stage(name, &shell::shown(&command), || shell::run(&mut command))
    }

    /// Runs one stage that is a test runner, and counts its tests.
    pub(crate) fn tests(&mut self, name: &'static str, mut command: Command) -> Result<()> {
        let alone = shell::shown(&command);
        self.finish(name, &alone, || match count_tests(&mut command) {
            Ok((count, true)) => (count, Ok(())),
            // A test runner may also fail without a failed test: a test file that does not compile.
            Ok((count, false)) => (
                Count { failed: count.failed.max(1), ..count },
                Err(anyhow::anyhow!("{} failed", count.failed.max(1))),
            ),
            Err(error) => (Count::ONE_FAILED, Err(error)),
        })
    }

    fn finish(
        &mut self,
        name: &'static str,
        alone: &str,
        work: impl FnOnce() -> (Count, Result<()>),
    ) -> Result<()> {
        println!("==> {name}: {alone}");
        let begun = Instant::now();
        let (count, result) = work();
        let took = begun.elapsed();
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        println!("<== {name}: {verdict} in {:.1} s", took.as_secs_f64());
        self.done.push(Done { name, count, took });
        if let Err(error) = result {
            eprintln!("error: {error:#}");
            println!("\n{}", self.table());
            bail!("stage `{name}` failed; later stages did not run. Run it alone: {alone}");
        }
        Ok(())
    }

    /// One row a stage, and the sums as the last line.
    pub(crate) fn table(&self) -> String {
        let mut table =
            format!("{:<12} {:>8} {:>8} {:>10}\n", "stage", "passed", "failed", "seconds");
        let (mut sum, mut took) = (Count::default(), Duration::ZERO);
        for Done { name, count, took: stage_took } in &self.done {
            let seconds = stage_took.as_secs_f64();
            let _ = writeln!(
                table,
                "{name:<12} {:>8} {:>8} {seconds:>10.1}",
                count.passed, count.failed
            );
            sum.passed += count.passed;
            sum.failed += count.failed;
            took += *stage_took;
        }
        let _ = write!(table, "{} passed, {} failed", sum.passed, sum.failed);
        let _ = write!(table, " in {:.0} s", took.as_secs_f64());
        table
    }
}

/// Runs a test runner, passing its output on; returns its counts and whether it succeeded.
fn count_tests(command: &mut Command) -> Result<(Count, bool)> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = shell::shown(command);
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // nextest sums up on stderr, cargo test on stdout; both are read so that neither pipe fills.
    let count = std::thread::scope(|scope| {
        let errors = scope.spawn(|| pass_on(err, std::io::stderr()));
        let lines = pass_on(out, std::io::stdout());
        let errors = errors.join().expect("passing lines on does not panic");
        Count { passed: lines.passed + errors.passed, failed: lines.failed + errors.failed }
    });
    let status = child.wait().with_context(|| format!("cannot wait for `{shown}`"))?;
    Ok((count, status.success()))
}

fn pass_on(from: Option<impl Read>, mut to: impl Write) -> Count {
    let mut sum = Count::default();
    let Some(from) = from else { return sum };
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // Nobody to read our own output is no reason to stop the tests.
        let _ = to.write_all(&line);
        if let Some(count) = Count::read(&String::from_utf8_lossy(&line)) {
            sum.passed += count.passed;
            sum.failed += count.failed;
        }
        line.clear();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(u64, u64)>) {
        let expected = expected.map(|(passed, failed)| Count { passed, failed });
        assert_eq!(Count::read(line), expected, "{line}");
    }

    #[test]
    fn summaries_of_both_test_runners_are_read() {
        check("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured", Some((12, 0)));
        check("test result: FAILED. 3 passed; 2 failed; 0 ignored", Some((3, 2)));
        check("     Summary [   4.321s] 7 tests run: 7 passed, 0 skipped", Some((7, 0)));
        check(
            "     Summary [   9s] 10 tests run: 8 passed (1 slow), 2 failed, 3 skipped",
            Some((8, 2)),
        );
        check("     Summary [   9s] 3 tests run: 1 passed, 1 failed, 1 timed out", Some((1, 2)));
        check("    test result: FAILED. 0 passed; 1 failed", None);
        check("running 3 tests", None);
        check("test a::b ... ok", None);
    }

    #[test]
    fn the_first_failure_ends_the_run_and_is_counted() {
        let mut stages = Stages::default();
        stages.stage("first", "true", || Ok(())).expect("it passes");
        let error = stages.stage("second", "make second", || bail!("no")).expect_err("it fails");
        assert!(error.to_string().contains("make second"), "{error}");
        assert!(stages.table().contains("1 passed, 1 failed"), "{}", stages.table());
    }
}
