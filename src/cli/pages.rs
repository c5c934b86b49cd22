//! Completion scripts and the manual page, generated from the command line's own definition.

use std::io::Write as _;

use clap::Args;

use super::Done;

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

pub fn completions(args: &CompletionsArgs, mut command: clap::Command) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "orion", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}

pub fn man(command: clap::Command) -> Done {
    clap_mangen::Man::new(command).render(&mut std::io::stdout()).map_err(anyhow::Error::from)?;
    Ok(())
}
