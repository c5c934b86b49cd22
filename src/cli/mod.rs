//! The command line: one file per command. Each says what it will do, does it, and prints the next step.
//!
//! Human output goes to standard output, messages to standard error. Exit codes: 0 ok, 1 failure, 2 usage, 69 no engine
//! is running, 75 try again, 77 refused by a safety gate, 78 bad configuration.

/// Writes a line to standard output; a reader that went away is an error like any other, not a panic.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($text)*)?
    }};
}

mod alerts;
mod arm;
mod backup;
mod config_cmd;
mod dashboard;
mod db;
mod demo;
mod doctor;
mod export;
mod host;
pub mod hosts;
mod init;
mod journal;
mod notify;
mod pages;
mod passphrase;
mod promote;
mod rebuild;
mod record;
mod replay;
mod run;
mod screen;
mod secrets;
mod shown;
pub mod sim;
mod status;
mod stops;
mod transfer;
mod why;

use std::{
    io::IsTerminal as _,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::{
    config::{Config, ConfigError, Level, Loaded, Sources},
    watch::log::Logs,
};

/// The engine, from the outside.
#[derive(Debug, Parser)]
#[command(
    name = "orion",
    version,
    about = "Arbitrage between Kalshi and Polymarket: books, edges after all fees, decisions, and why not",
    long_about = None,
    after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 69 no engine is running, 75 try again, 77 refused by a safety gate, 78 bad configuration."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    /// Without a command: what `orion run` takes.
    #[command(flatten)]
    run: run::RunArgs,
    /// Same as `orion db init`.
    #[arg(long)]
    init_db: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Flags of every command.
#[derive(Args, Clone, Debug, Default)]
struct Global {
    /// Settings file (TOML; a predecessor's YAML is read and mapped).
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Overrides `trading.threshold_spread`: the least net edge per dollar of payout, 0 to 0.5.
    #[arg(long, global = true, value_name = "DOLLARS", allow_negative_numbers = true)]
    threshold: Option<String>,
    /// Overrides log.level: trace, debug, info, warn, error.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Overrides `engine.state_dir`: database, latch, control socket.
    #[arg(long, global = true, value_name = "PATH")]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the engine trade between two simulated exchanges: no key, no file, no network.
    Demo(demo::DemoArgs),
    /// Trade in the mode that was promoted to, paper at first; `--dry-run`: paper whatever was promoted.
    Run(run::RunArgs),
    /// Serve the two simulated exchanges alone.
    Sim(sim::SimArgs),
    /// Record raw frames of both venues.
    Record(record::RecordArgs),
    /// Play recordings through the same feeds and books.
    Replay(replay::ReplayArgs),
    /// Show a running engine.
    Status(status::StatusArgs),
    /// No new plans, until `resume`; what is open is managed on. Outlives a restart.
    Pause(stops::StopArgs),
    /// Lift a pause or the latch.
    Resume(stops::StopArgs),
    /// Halt at once: nothing that raises risk leaves; what is naked is closed. Outlives a restart.
    Kill(stops::KillArgs),
    /// Let a running live engine send orders: limits, a phrase, five seconds.
    Arm(arm::ArmArgs),
    /// The next mode, by evidence: paper, alert, live. Without a mode: what is missing.
    Promote(promote::PromoteArgs),
    /// Look at everything that a start needs, and say for each thing that is wrong how it is mended.
    Doctor(doctor::DoctorArgs),
    /// Open the page of a running engine: a link that signs a browser in, once.
    Dashboard(dashboard::DashboardArgs),
    /// Move cash between two of Kalshi's shards.
    Transfer(transfer::TransferArgs),
    /// Why opportunities were, or were not, taken.
    Why(why::WhyArgs),
    /// Check, show and import settings.
    Config(config_cmd::ConfigArgs),
    /// Put keys into the sealed file, check them, seal it anew.
    Secrets(secrets::SecretsArgs),
    /// Try alerts, and find the numbers that they need.
    Alerts(alerts::AlertsArgs),
    /// Create and check the database.
    Db(db::DbArgs),
    /// Keep journal, database, pair book and what people said in one file; the engine may run.
    Backup(backup::BackupArgs),
    /// Put a backup back in its place; it comes up paused and disarmed.
    Restore(backup::restore::RestoreArgs),
    /// Write trades for others to read.
    Export(export::ExportArgs),
    /// What the engine wrote down before it acted.
    Journal(journal::JournalArgs),
    /// Write a settings file, asking five questions or by flags.
    Init(init::InitArgs),
    /// Print a completion script for a shell.
    Completions(pages::CompletionsArgs),
    /// Print the manual page.
    Man,
}

/// Why a command ended, as an exit code and a text.
#[derive(Debug)]
enum Fault {
    Failed(anyhow::Error),
    NotRunning(String),
    Again(String),
    Gate(String),
    Config(String),
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.render(colour()))
    }
}

impl Fault {
    /// What it says, for a page and a log.
    fn text(&self) -> String {
        match self {
            Self::Failed(e) => format!("{e:#}"),
            Self::NotRunning(text) | Self::Again(text) | Self::Gate(text) | Self::Config(text) => text.clone(),
        }
    }
}

type Done = Result<(), Fault>;

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        _ if cli.init_db => db::init(&cli.global),
        None => run::run(&cli.global, &cli.run),
        Some(Command::Demo(args)) => demo::run(&cli.global, &args),
        Some(Command::Run(args)) => run::run(&cli.global, &args),
        Some(Command::Sim(args)) => sim::run(&args),
        Some(Command::Record(args)) => record::run(&cli.global, &args),
        Some(Command::Replay(args)) => replay::run(&cli.global, &args),
        Some(Command::Status(args)) => status::run(&cli.global, &args),
        Some(Command::Pause(args)) => stops::pause(&cli.global, &args),
        Some(Command::Resume(args)) => stops::resume(&cli.global, &args),
        Some(Command::Kill(args)) => stops::kill(&cli.global, &args),
        Some(Command::Arm(args)) => arm::run(&cli.global, &args),
        Some(Command::Promote(args)) => promote::run(&cli.global, &args),
        Some(Command::Alerts(args)) => alerts::run(&cli.global, &args),
        Some(Command::Doctor(args)) => doctor::run(&cli.global, &args),
        Some(Command::Dashboard(args)) => dashboard::run(&cli.global, &args),
        Some(Command::Transfer(args)) => transfer::run(&cli.global, &args),
        Some(Command::Why(args)) => why::run(&cli.global, &args),
        Some(Command::Config(args)) => config_cmd::run(&cli.global, &args),
        Some(Command::Secrets(args)) => secrets::run(&cli.global, &args),
        Some(Command::Db(args)) => db::run(&cli.global, &args),
        Some(Command::Backup(args)) => backup::run(&cli.global, &args),
        Some(Command::Restore(args)) => backup::restore::run(&cli.global, &args),
        Some(Command::Export(args)) => export::run(&cli.global, &args),
        Some(Command::Journal(args)) => journal::run(&cli.global, &args),
        Some(Command::Init(args)) => init::run(&args),
        Some(Command::Completions(args)) => pages::completions(&args, Cli::command()),
        Some(Command::Man) => pages::man(Cli::command()),
    };
    let (code, text) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        // A reader that went away, as `head` does, is no failure.
        Err(Fault::Failed(e)) if is_broken_pipe(&e) => return ExitCode::SUCCESS,
        Err(Fault::Failed(e)) => (1, format!("orion: {e:#}")),
        Err(Fault::NotRunning(text)) => (69, format!("orion: {text}")),
        Err(Fault::Again(text)) => (75, format!("orion: {text}")),
        Err(Fault::Gate(text)) => (77, format!("orion: {text}")),
        Err(Fault::Config(text)) => (78, text),
    };
    // A configuration's text has colours of its own, and quotes nobody but the operator.
    let text = if code == 78 { text } else { shown::message(&text) };
    eprintln!("{}", text.trim_end());
    ExitCode::from(code)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// May output be coloured? Not without a terminal, and not where `NO_COLOR` is set.
fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The process's environment, as far as it is text.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

/// Where settings come from: every layer, with the global flags and those of a command (dotted key, value, flag) on top.
fn sources(global: &Global, flags: Vec<(String, String, String)>) -> Sources {
    let mut all = Vec::new();
    let mut add = |key: &str, value: String, flag: &str| all.push((key.to_owned(), value, flag.to_owned()));
    if let Some(threshold) = &global.threshold {
        add("trading.threshold_spread", threshold.clone(), "--threshold");
    }
    if let Some(level) = &global.log_level {
        add("log.level", level.clone(), "--log-level");
    }
    if let Some(state) = &global.state_dir {
        add("engine.state_dir", state.display().to_string(), "--state-dir");
    }
    all.extend(flags);
    Sources { file: global.config.clone(), overlay: None, env: environment(), flags: all }
}

/// Settings from every layer.
fn settings(global: &Global, flags: Vec<(String, String, String)>) -> Result<Loaded, Fault> {
    let loaded = Config::load(&sources(global, flags))?;
    for note in &loaded.notes {
        eprintln!("note: {note}");
    }
    Ok(loaded)
}

/// Keeps the cold threads' log lines for the page, and sends them to standard error where a level asks for that.
fn logging(level: Level, stderr: bool) -> Logs {
    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let level = match level {
        Level::Trace => tracing::Level::TRACE,
        Level::Debug => tracing::Level::DEBUG,
        Level::Info => tracing::Level::INFO,
        Level::Warn => tracing::Level::WARN,
        Level::Error => tracing::Level::ERROR,
    };
    let logs = Logs::default();
    let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let filter = tracing_subscriber::filter::LevelFilter::from_level(level);
    let shown = stderr.then(|| tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi));
    // A second call in one process keeps the first one.
    let _ = tracing_subscriber::registry()
        .with(logs.clone().with_filter(filter))
        .with(shown.with_filter(filter))
        .try_init();
    logs
}

/// A duration as people write it: `90s`, `10m`, `1h30m`.
fn span(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|e| format!("{e}; write 90s, 10m or 1h30m"))?;
    Duration::try_from(span).ok().filter(|span| !span.is_zero()).ok_or("must be longer than nothing".into())
}

/// What ends a process: a signal. Installed once.
struct Signals {
    stop: Arc<AtomicBool>,
    dump: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// SIGINT and SIGTERM end, SIGUSR1 dumps latencies, SIGHUP reads settings anew. A second SIGINT ends at once.
    fn install() -> anyhow::Result<Self> {
        let signals = Self { stop: Arc::default(), dump: Arc::default(), reload: Arc::default() };
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 1, signals.stop.clone())?;
            signal_hook::flag::register(signal, signals.stop.clone())?;
        }
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, signals.dump.clone())?;
        signal_hook::flag::register(signal_hook::consts::SIGHUP, signals.reload.clone())?;
        Ok(signals)
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::AcqRel)
    }

    fn take_dump(&self) -> bool {
        self.dump.swap(false, Ordering::AcqRel)
    }
}
