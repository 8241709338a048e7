//! The group `transfer`: data from one center's store to another's over an emulated line of 1 Gbit/s
//! and 5 ms there and back, beside what other tools do on the same line in the same run. Stores are
//! in memory, so that the line decides and not this machine's disk; the checkpoint is on the disk.

mod field;
pub(crate) mod hands;
mod peers;
mod wire_rate;

use crate::row::{self, Better, Figure, Peer, Samples, percentile};
use anyhow::{Context, Result, anyhow, bail};
use field::{BIG, SMALL_FILES};
use hands::{Fetching, Place, Server, Told};
use model::DatasetVersion;
use peers::{Crowd, SET_UPS, SetUp, Took};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use wan::{Options, Topology, Wan};

const GIGA: f64 = 1e9;
const GIB: f64 = (1_u64 << 30) as f64;
const MIB: f64 = (1_u64 << 20) as f64;
/// How often the small files are copied.
const TIMES: usize = 3;
const KILLS: usize = 50;
/// A plan's rate for the rates' rows, headers included.
const PLANNED: u64 = 200_000_000;
/// What the east's data leaves through.
const DEVICE: &str = "to-west";
/// What is said of the line there: a little less than it carries, so that packets wait before it.
const UPLINK: u64 = 950_000_000;
/// How large the checkpoint is.
const CHECKPOINT: u64 = 8 << 30;

const LINE: &str = r#"
[[site]]
name = "east"

[[site]]
name = "west"

[[link]]
between = ["east", "west"]
rate = "1 Gbit/s"
delay = "2.5ms"
queue = "12.5 MB"
"#;

const fn higher(name: &'static str, unit: &'static str, target: Option<f64>) -> Figure {
    Figure { name, unit, better: Better::Higher, target }
}

const fn lower(name: &'static str, unit: &'static str, target: Option<f64>) -> Figure {
    Figure { name, unit, better: Better::Lower, target }
}

const SMALL: Figure = higher("small_files_per_s", "1/s", None);
/// Wanted are five times, or nine tenths of the link where that is less, as on this one.
const VS_RCLONE: Figure = higher("small_files_vs_rclone", "x", None);
const OF_LINK: Figure = higher("small_files_of_link_pct", "%", Some(90.0));
const OF_IPERF: Figure = higher("big_file_of_iperf_pct", "%", Some(95.0));
const LOOPBACK: Figure = higher("loopback_gib_per_s", "GiB/s", None);
const CPU: Figure = lower("cpu_s_per_gib", "s", None);
const RATE: Figure = lower("rate_error_pct", "%", Some(2.0));
const RATE_NO_TC: Figure = lower("rate_error_without_tc_pct", "%", Some(5.0));
/// Nothing beyond what is in flight is to be sent again: four requests of 8 MiB each.
const KILLED: Figure = lower("resend_after_kill_mib", "MiB", Some(32.0));
const MOVED: Figure = lower("checkpoint_moved_pct", "%", Some(4.0));

/// Measures the group and prints its rows as they come. `disk` is for what memory cannot hold.
pub(crate) fn run(only: &str, disk: &Path) {
    let wanted = |figures: &[Figure]| figures.iter().any(|figure| figure.name.starts_with(only));
    let failed = |figures: &[Figure], error: &anyhow::Error| {
        for figure in figures {
            row::print_beside(figure, None, &Err(anyhow!("{error:#}")));
        }
    };
    if wanted(&[LOOPBACK]) {
        match Ground::new(None).and_then(|ground| ground.loopback()) {
            Ok(rate) => row::print_beside(&LOOPBACK, None, &Ok(rate)),
            Err(error) => failed(&[LOOPBACK], &error),
        }
    }
    let parts: [(&[Figure], Part); 4] = [
        (&[SMALL, VS_RCLONE, OF_LINK], Ground::small),
        (&[OF_IPERF, CPU], Ground::big),
        (&[RATE, RATE_NO_TC], Ground::rates),
        (&[KILLED], Ground::killed),
    ];
    for (figures, measure) in parts.iter().filter(|(figures, _)| wanted(figures)) {
        if let Err(error) = line().and_then(|line| measure(&Ground::new(Some(line))?)) {
            failed(figures, &error);
        }
    }
    if wanted(&[MOVED]) {
        match checkpoint(disk) {
            Ok(moved) => row::print_beside(&MOVED, None, &Ok(moved)),
            Err(error) => failed(&[MOVED], &error),
        }
    }
}

type Part = fn(&Ground) -> Result<()>;

fn line() -> Result<Wan> {
    let topology = Topology::parse("the bench's line", LINE)?;
    Ok(Wan::start(&topology, Options::default())?)
}

/// A place to measure in: directories in memory, and two sites on a line or one machine.
struct Ground {
    dir: TempDir,
    line: Option<Wan>,
}

impl Ground {
    fn new(line: Option<Wan>) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Ok(Self { dir: tempfile::Builder::new().prefix("bench-").tempdir_in(base)?, line })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn site(&self, name: &str, program: &str) -> Command {
        match self.line.as_ref().and_then(|line| line.site(name).ok()) {
            Some(site) => site.command(program),
            None => Command::new(program),
        }
    }

    /// Where the serving end is reached.
    fn host(&self) -> String {
        let east = self.line.as_ref().and_then(|line| line.site("east").ok());
        east.map_or_else(|| "127.0.0.1".to_owned(), |east| east.address().to_string())
    }

    /// Serves the store in the east.
    fn serve(&self, store: &Path) -> Result<Server> {
        self.serve_shaped(store, None)
    }

    /// The same, where the kernel keeps rates at a device.
    fn serve_shaped(&self, store: &Path, device: Option<(&str, u64)>) -> Result<Server> {
        let east = |program: &str| self.site("east", program);
        Server::start(&east, store, &format!("{}:0", self.host()), device)
    }

    /// Starts to fetch in the west.
    fn fetch(
        &self,
        server: &Server,
        data: &DatasetVersion,
        into: &str,
        rate: Option<u64>,
    ) -> Result<Fetching> {
        let west = |program: &str| self.site("west", program);
        Fetching::start(&west, &[server.url()], &self.path(into), data, rate)
    }

    fn served(&self, server: &Server) -> Result<hands::Served> {
        server.served(&|program| self.site("east", program))
    }

    fn loopback(&self) -> Result<Samples> {
        eprintln!("loopback: one file of 4 GiB …");
        field::big(&self.path("in"), BIG)?;
        let (store, data) = field::store(&self.path("east"), &self.path("in"), true)?;
        let server = self.serve(&store)?;
        let mut rates = Vec::new();
        for _ in 0..TIMES {
            let (seconds, ..) = self.fetch(&server, &data, "west", None)?.end()?;
            rates.push(exact(BIG) / GIB / seconds);
            fs::remove_dir_all(self.path("west"))?;
        }
        Ok(Samples::median(&rates))
    }

    fn small(&self) -> Result<()> {
        let from = self.path("in");
        let bytes = exact(field::small(&from)?);
        let files = f64::from(SMALL_FILES);
        eprintln!("{SMALL_FILES} files of 4 to 64 KiB, {:.0} MB in all …", bytes / 1e6);
        let (store, data) = field::store(&self.path("east"), &from, false)?;
        let mut seconds = Vec::new();
        {
            let server = self.serve(&store)?;
            for _ in 0..TIMES {
                let (took, cpu, _) = self.fetch(&server, &data, "west", None)?.end()?;
                eprintln!("  Portolan: {took:.2} s, {cpu:.2} CPU s at the receiving end");
                seconds.push(took);
                fs::remove_dir_all(self.path("west"))?;
            }
        }
        let peers = self.peers(&from, bytes);
        eprintln!("  cp on this machine: {:.2} s", peers::cp(&from, &self.path("copied"))?);
        let each = |figure: fn(f64, f64) -> f64, by: f64| {
            let all: Vec<f64> = seconds.iter().map(|took| figure(by, *took)).collect();
            Ok(Samples::median(&all))
        };
        let rate = |by: f64, took: f64| by / took;
        let rclone = peers.iter().filter(|(set_up, _)| set_up.is_rclone());
        let (set_up, took) = least(rclone, |took| took.seconds)?;
        let best = took.seconds;
        let peer = Peer { name: set_up.name.to_owned(), value: files / best, how: "same run" };
        row::print_beside(&SMALL, Some(&peer), &each(rate, files));
        row::print_beside(&VS_RCLONE, None, &each(rate, best));
        row::print_beside(&OF_LINK, None, &each(rate, bytes * 8.0 / GIGA * 100.0));
        Ok(())
    }

    /// Lets the peers copy the directory; what those took that could.
    fn peers(&self, from: &Path, bytes: f64) -> Vec<(SetUp, Took)> {
        let east: Place<'_> = &|program| self.site("east", program);
        let west: Place<'_> = &|program| self.site("west", program);
        let mut all = Vec::new();
        for set_up in SET_UPS {
            let into = self.path("peer");
            match set_up.copy((east, from), &self.host(), (west, &into)) {
                Ok(took) => {
                    let per_gib = took.cpu_s / (bytes / GIB);
                    let rate = bytes * 8.0 / took.seconds / 1e6;
                    eprintln!(
                        "  {}: {:.2} s, {rate:.0} Mbit/s, {per_gib:.2} CPU s per GiB",
                        set_up.name, took.seconds
                    );
                    all.push((set_up, took));
                }
                Err(error) => eprintln!("  {}: {error:#}", set_up.name),
            }
            // What a peer left unfinished is there too; nothing at all is fine.
            let _ = fs::remove_dir_all(&into);
        }
        all
    }

    fn big(&self) -> Result<()> {
        eprintln!("one file of 4 GiB …");
        let from = self.path("in");
        field::big(&from, BIG)?;
        let east: Place<'_> = &|program| self.site("east", program);
        let west: Place<'_> = &|program| self.site("west", program);
        let iperf = peers::iperf3(east, &self.host(), west)?;
        let peers = self.peers(&from, exact(BIG));
        let (store, data) = field::store(&self.path("east"), &from, true)?;
        let server = self.serve(&store)?;
        let (mut shares, mut cpus, mut before) = (Vec::new(), Vec::new(), 0.0);
        for _ in 0..TIMES {
            let (took, cpu, _) = self.fetch(&server, &data, "west", None)?.end()?;
            let serving = self.served(&server)?.cpu_s;
            let rate = exact(BIG) * 8.0 / took;
            eprintln!(
                "  Portolan: {took:.2} s, {:.0} Mbit/s; iperf3 {:.0}",
                rate / 1e6,
                iperf / 1e6
            );
            shares.push(rate / iperf * 100.0);
            cpus.push((cpu + serving - before) / (exact(BIG) / GIB));
            before = serving;
            fs::remove_dir_all(self.path("west"))?;
        }
        let name = format!("iperf3 at {:.0} Mbit/s", iperf / 1e6);
        let peer = Peer { name, value: 100.0, how: "same run" };
        row::print_beside(&OF_IPERF, Some(&peer), &Ok(Samples::median(&shares)));
        let (set_up, took) = least(peers.iter(), |took| took.cpu_s)?;
        let value = took.cpu_s / (exact(BIG) / GIB);
        let peer = Peer { name: set_up.name.to_owned(), value, how: "same run" };
        row::print_beside(&CPU, Some(&peer), &Ok(Samples::median(&cpus)));
        Ok(())
    }

    /// How far a copy at a planned rate is from it on the wire, beside four streams that take what they
    /// get: as the kernel keeps and counts it, and as the two ends alone keep it.
    fn rates(&self) -> Result<()> {
        eprintln!("a copy at {} Mbit/s beside four streams …", PLANNED / 1_000_000);
        field::big(&self.path("in"), 512 << 20)?;
        let (store, data) = field::store(&self.path("east"), &self.path("in"), true)?;
        let east: Place<'_> = &|program| self.site("east", program);
        let west: Place<'_> = &|program| self.site("west", program);
        let _crowd = Crowd::start(east, &self.host(), west)?;
        for (figure, device) in [(&RATE, Some(DEVICE)), (&RATE_NO_TC, None)] {
            let server = self.serve_shaped(&store, device.map(|device| (device, UPLINK)))?;
            let mut errors = Vec::new();
            for _ in 0..TIMES {
                let before = device.map(|device| wire_rate::sent(east, device)).transpose()?;
                let (took, _, moved) = self.fetch(&server, &data, "west", Some(PLANNED))?.end()?;
                let on_wire = match (device, before) {
                    (Some(device), Some(before)) => exact(wire_rate::sent(east, device)? - before),
                    _ => wire_rate::with_headers(moved),
                };
                let rate = on_wire * 8.0 / took;
                eprintln!("  {:.2} Mbit/s on the wire in {took:.2} s", rate / 1e6);
                errors.push((rate / exact(PLANNED) - 1.0).abs() * 100.0);
                fs::remove_dir_all(self.path("west"))?;
            }
            row::print_beside(figure, None, &Ok(Samples::median(&errors)));
        }
        Ok(())
    }

    /// Kills the receiving end again and again: the most that was sent twice for one kill.
    fn killed(&self) -> Result<()> {
        eprintln!("{KILLS} kills during a copy …");
        field::big(&self.path("in"), BIG)?;
        let (store, data) = field::store(&self.path("east"), &self.path("in"), true)?;
        let server = self.serve(&store)?;
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let (mut last, mut wasted) = (None, Vec::new());
        for kill in 0..=KILLS {
            let before = self.settled(&server)?;
            let mut fetching = self.fetch(&server, &data, "west", None)?;
            let Some(Told::Begun { done }) = fetching.told()? else {
                bail!("the copy was over after {kill} kills");
            };
            if let Some((sent, was)) = last {
                wasted.push((exact(sent) - exact(done - was)) / MIB);
            }
            if kill == KILLS {
                fetching.end()?;
                break;
            }
            // tidy: kills come at any moment
            std::thread::sleep(Duration::from_millis(random.random_range(0..500)));
            fetching.kill()?;
            last = Some((self.settled(&server)? - before, done));
        }
        let most = percentile(&wasted, 100.0);
        row::print_beside(&KILLED, None, &Ok(Samples::with_value(most, &wasted)));
        Ok(())
    }

    /// How much the serving end sent, once it sends no more.
    fn settled(&self, server: &Server) -> Result<u64> {
        let mut last = None;
        loop {
            let now = self.served(server)?.bytes;
            if last == Some(now) {
                return Ok(now);
            }
            last = Some(now);
            // tidy: nothing else tells that it noticed a death
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A checkpoint of which three of a hundred chunks changed goes where the one before is; the share
/// of its bytes that moved.
fn checkpoint(disk: &Path) -> Result<Samples> {
    eprintln!("a checkpoint of {} GiB …", CHECKPOINT >> 30);
    let ground = Ground::new(None)?;
    let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(disk)?;
    let old = dir.path().join("in");
    field::big(&old, CHECKPOINT)?;
    fs::create_dir(ground.path("in"))?;
    fs::copy(old.join("big"), ground.path("in").join("big"))?;
    field::train(&ground.path("in"), CHECKPOINT)?;
    let (west, _) = field::store(&dir.path().join("west"), &old, true)?;
    let (store, data) = field::store(&ground.path("east"), &ground.path("in"), true)?;
    let server = ground.serve(&store)?;
    let here = |program: &str| Command::new(program);
    let (took, cpu, moved) = Fetching::start(&here, &[server.url()], &west, &data, None)?.end()?;
    eprintln!("  {took:.1} s, {cpu:.1} CPU s at the receiving end");
    Ok(Samples::median(&[exact(moved) / exact(CHECKPOINT) * 100.0]))
}

/// The peer that took the least.
fn least<'a>(
    peers: impl Iterator<Item = &'a (SetUp, Took)>,
    of: fn(&Took) -> f64,
) -> Result<&'a (SetUp, Took)> {
    peers.min_by(|(_, a), (_, b)| of(a).total_cmp(&of(b))).context("no peer worked")
}

#[expect(clippy::cast_precision_loss, reason = "nothing here has 2^52 bytes")]
fn exact(bytes: u64) -> f64 {
    bytes as f64
}
