//! Vendors' commands: what measures their chips is theirs, and what it says is kept as it is.

use crate::reading::Reading;
use model::{ChipId, Digest, Figure, Unit};
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wire::view::CommandRun;

/// How much of an output is kept.
const KEPT: usize = 16 << 10;
/// How much of it is read at all.
const READ: u64 = 4 << 20;
/// How often it is looked whether a command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A vendor's command, and what is to be read of its output.
#[derive(Debug, Clone)]
pub struct Vendor {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The chip it is about.
    pub chip: Option<ChipId>,
    /// How many chips it keeps busy: what it says is divided by them.
    pub chips: u32,
    /// In which precision, such as `bf16`.
    pub precision: String,
    /// What it counts in, and how many of that unit one of its own is.
    pub unit: (Unit, u64),
    /// Where its output has the numbers; each is a sample.
    pub reads: Reading,
    /// How long it may take.
    pub limit: Duration,
}

impl Vendor {
    /// What its figure is called.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.chip {
            Some(chip) => format!("{chip} {}", self.precision),
            None => self.command.first().cloned().unwrap_or_default(),
        }
    }

    /// What it says of one chip.
    fn figure(&self, output: &str) -> Result<Figure, String> {
        let (unit, scale) = self.unit;
        let chips = f64::from(self.chips.max(1));
        let one = |number: f64| {
            let amount = number * scale as f64 / chips;
            let is_one = amount.is_finite() && (0.0..1e18).contains(&amount);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is no less than nothing and fits"
            )]
            is_one.then_some(amount as u64).ok_or_else(|| format!("{number} is no amount"))
        };
        let samples: Result<Vec<u64>, String> =
            self.reads.numbers(output)?.into_iter().map(one).collect();
        let how = match self.chips {
            0 | 1 => format!("as the command says at {}", self.reads),
            chips => format!("as the command says at {}, of {chips} chips", self.reads),
        };
        Ok(Figure { name: self.name(), unit, samples: samples?, how })
    }
}

/// Runs it to its end, or to its limit.
pub(crate) fn run(vendor: &Vendor) -> CommandRun {
    let (output, ended) = match finish(vendor) {
        Ok((output, ended)) => (output, ended),
        Err(error) => (Vec::new(), Err(format!("cannot be run: {error}"))),
    };
    let text = String::from_utf8_lossy(&output).into_owned();
    let (figure, why) = match ended.and_then(|()| vendor.figure(&text)) {
        Ok(figure) => (Some(figure), None),
        Err(why) => (None, Some(why)),
    };
    CommandRun {
        command: vendor.command.clone(),
        chip: vendor.chip.clone(),
        chips: vendor.chips.max(1),
        precision: vendor.precision.clone(),
        figure,
        why,
        output: text[..text.floor_char_boundary(KEPT)].to_owned(),
        output_bytes: output.len() as u64,
        output_digest: Digest::of(&output),
    }
}

/// All it wrote, and whether it ended well.
fn finish(vendor: &Vendor) -> io::Result<(Vec<u8>, Result<(), String>)> {
    let (program, arguments) = vendor
        .command
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
    let (from, to) = io::pipe()?;
    let mut child = {
        // Both streams as they come: the command's own ends of the pipe go with this block.
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(to.try_clone()?).stderr(to);
        command.process_group(0).spawn()?
    };
    let output = std::thread::spawn(move || {
        let mut all = Vec::new();
        // What was read before an error counts.
        let _over = from.take(READ).read_to_end(&mut all);
        all
    });
    let ended = wait(&mut child, vendor.limit)?;
    // Nothing that it left behind keeps the pipe open.
    if let Some(group) = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap_or(0)) {
        let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let output = output.join().unwrap_or_default();
    Ok((output, ended))
}

/// Whether it ended well within its limit.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Result<(), String>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match status.success() {
                true => Ok(()),
                false => Err(format!("ended with {status}")),
            });
        }
        if began.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(Err(format!("was not done within {} s", limit.as_secs())));
        }
        // tidy: a child's end has no event that can be waited for with a limit
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, reads: &str) -> Vendor {
        Vendor {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            chip: Some(ChipId::new("ascend-910b3").unwrap()),
            chips: 8,
            precision: "bf16".to_owned(),
            unit: (Unit::FlopPerSecond, 1_000_000_000_000),
            reads: reads.parse().unwrap(),
            limit: Duration::from_secs(20),
        }
    }

    #[test]
    fn what_a_vendors_command_says_is_read_and_kept() {
        let run = run(&sh("echo 'card 0..7: 2400.8 TFLOPS' >&2; sleep 300 &", "([0-9.]+) TFLOPS"));
        let figure = run.figure.unwrap();
        assert_eq!(
            (figure.name.as_str(), figure.median()),
            ("ascend-910b3 bf16", 300_100_000_000_000)
        );
        assert_eq!((run.output.as_str(), run.output_bytes), ("card 0..7: 2400.8 TFLOPS\n", 25));
        assert_eq!(run.output_digest, Digest::of(run.output.as_bytes()));
    }

    #[test]
    fn a_command_that_fails_says_why_and_its_output_is_kept() {
        let check = |vendor: &Vendor, why: &str| {
            let run = run(vendor);
            assert!(run.figure.is_none());
            let said = run.why.unwrap();
            assert!(said.starts_with(why), "{said}");
            run.output
        };
        assert_eq!(
            check(&sh("echo no driver; exit 3", "([0-9]+)"), "ended with exit status: 3"),
            "no driver\n"
        );
        check(&sh("echo fast", "([0-9.]+) TFLOPS"), "its output has no number");
        check(&sh("echo -1", "(-?[0-9]+)"), "-1 is no amount");
        check(&Vendor { command: vec!["/no/such".to_owned()], ..sh("", "(x)") }, "cannot be run");
        let slow =
            Vendor { limit: Duration::from_millis(100), ..sh("echo begun; sleep 300", "(x)") };
        assert_eq!(check(&slow, "was not done within"), "begun\n");
        let long = run(&sh("yes 0123456789abcde | head -c 40000", "(x)"));
        assert_eq!((long.output.len(), long.output_bytes), (KEPT, 40_000));
    }
}
