//! `portolan completions`.

use crate::session::write;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print a shell's completions.
#[derive(Debug, Args)]
#[command(after_help = "For bash: portolan completions bash > \
    ~/.local/share/bash-completion/completions/portolan")]
pub(crate) struct Completions {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        let mut command = crate::Portolan::command();
        clap_complete::generate(self.shell, &mut command, "portolan", &mut script);
        write(&script)
    }
}
