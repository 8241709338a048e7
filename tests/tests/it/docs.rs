//! Pages of the documentation, played as they are printed: their files are written, their commands run,
//! and what they are to print is compared with what they do.

use std::path::Path;
use std::time::{Duration, Instant};
use tokio::process::Command;
use whole_system::{Net, Plan, portolan};

/// How long a command that only looks may take until it shows what the page does.
const PATIENCE: Duration = Duration::from_secs(45);
/// What only looks, and may be looked at again.
const LOOKS: [&str; 11] = [
    "quota",
    "shares",
    "why",
    "jobs",
    "job",
    "centers",
    "center show",
    "reservations",
    "squeue",
    "sinfo",
    "logs",
];

/// A piece of a page.
enum Step {
    /// A file that a reader would write.
    File { name: String, text: String },
    /// What a reader types, and what is printed then: any text where the page says `…`.
    Command { line: String, printed: Vec<String> },
}

/// The steps of a page: blocks of TOML that begin with `# NAME`, scripts with that in their second line,
/// and blocks of a console.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match kind {
            "toml" => {
                let name = block.first().and_then(|first| first.strip_prefix("# "));
                let name = name.filter(|name| name.ends_with(".toml")).map(str::to_owned);
                let text = block.join("\n") + "\n";
                steps.extend(name.map(|name| Step::File { name, text }));
            }
            "bash" => {
                let name = block.get(1).and_then(|second| second.strip_prefix("# "));
                let name = name.filter(|name| name.ends_with(".sh")).map(str::to_owned);
                let text = block.join("\n") + "\n";
                steps.extend(name.map(|name| Step::File { name, text }));
            }
            "console" => {
                for line in block {
                    match (line.strip_prefix("$ "), steps.last_mut()) {
                        (Some(line), _) => {
                            let (line, printed) = (line.to_owned(), Vec::new());
                            steps.push(Step::Command { line, printed });
                        }
                        (None, Some(Step::Command { printed, .. })) => {
                            printed.push(line.to_owned());
                        }
                        (None, _) => panic!("what prints `{line}`?"),
                    }
                }
            }
            _ => {}
        }
    }
    steps
}

/// Whether a line is what the page says, any text standing for `…`.
fn is_so(said: &str, line: &str) -> bool {
    let Some((first, later)) = said.split_once('…') else { return said == line };
    let Some(rest) = line.strip_prefix(first) else { return false };
    let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.into_iter().any(|at| is_so(later, &rest[at..]))
}

async fn run(net: &Net, dir: &Path, line: &str) -> String {
    let programs = portolan().parent().unwrap().display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let token = net.server_dir().join("operator.token");
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(dir)
        .env("PATH", path)
        .env("PORTOLAN_SERVER", net.url())
        .env("PORTOLAN_TOKEN_FILE", token)
        .env("COLUMNS", "80")
        .env("NO_COLOR", "1")
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap()
}

async fn play(net: &Net, page: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut played = 0;
    for step in steps(page) {
        match step {
            Step::File { name, text } => std::fs::write(dir.path().join(name), text).unwrap(),
            Step::Command { line, printed } => {
                let looks = LOOKS.iter().any(|verb| line.starts_with(&format!("portolan {verb}")));
                let began = Instant::now();
                loop {
                    let text = run(net, dir.path(), &line).await;
                    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
                    let same = lines.len() == printed.len()
                        && printed.iter().zip(&lines).all(|(said, line)| is_so(said, line));
                    if same {
                        break;
                    }
                    if !looks || began.elapsed() > PATIENCE {
                        panic!("$ {line}\nprints\n{text}\nand not\n{}", printed.join("\n"));
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                played += 1;
            }
        }
    }
    assert!(played > 0, "a page without commands proves nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharing_between_owners_is_as_its_page_says() {
    let net = Plan::laptop().start().await;
    play(&net, include_str!("../../../docs/sharing.md")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chips_are_booked_as_their_page_says() {
    let net = Plan::laptop().start().await;
    play(&net, include_str!("../../../docs/reservations.md")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slurm_users_find_it_as_their_page_says() {
    let net = Plan::laptop().start().await;
    play(&net, include_str!("../../../docs/slurm-users.md")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_center_shows_what_it_is_as_its_page_says() {
    let net = Plan::laptop().start().await;
    play(&net, include_str!("../../../docs/capability.md")).await;
}

#[test]
fn any_text_stands_for_an_ellipsis() {
    assert!(is_so("job-1 … at lingang", "job-1 is running at lingang"));
    assert!(is_so("…", "") && is_so("a …", "a b c") && is_so("a", "a"));
    assert!(!is_so("a …b", "a c") && !is_so("a", "ab") && !is_so("a … c", "a b"));
}
