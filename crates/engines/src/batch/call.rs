//! Calling a batch system's own commands.

use crate::Error;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a command may take: Slurm's, for one, need twenty seconds to find out that nobody is there.
const PATIENCE: Duration = Duration::from_secs(45);

/// Runs a command of `who` with something to read; what it wrote. Whatever goes wrong, nobody knows
/// whether it did as it was told.
pub(crate) async fn call(
    who: &'static str,
    mut command: Command,
    input: &str,
) -> Result<String, Error> {
    let program = command.as_std().get_program().display().to_string();
    let silent = |said: String| Error::Silent { who, said };
    command.kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| silent(format!("{program} cannot be run: {error}")))?;
    let talk = async {
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read it says why on its other outputs.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let Output { status, stdout, stderr } = match tokio::time::timeout(PATIENCE, talk).await {
        Err(_) => return Err(silent(format!("{program} took longer than {PATIENCE:?}"))),
        Ok(Err(error)) => return Err(silent(format!("{program} broke off: {error}"))),
        Ok(Ok(output)) => output,
    };
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr);
    Err(silent(format!("{program}: {}", said.trim())))
}

/// Words as a shell reads them.
pub(crate) fn quoted(words: &[String]) -> String {
    let quote = |word: &String| format!("'{}'", word.replace('\'', r"'\''"));
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_script_as_they_are() {
        let words = ["/a b/c".to_owned(), "it's".to_owned(), "$HOME".to_owned()];
        assert_eq!(quoted(&words), r"'/a b/c' 'it'\''s' '$HOME'");
    }
}
