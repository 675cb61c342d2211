//! The `remora` binary: flags, configuration, log, and then the proxy until a signal stops it.

mod health;

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use proxy_server::{Args, Config, LogFilter, LogFormat, Proxy, Signal, Signals, check, example};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{self, SignalKind};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

/// Gives memory back to the system a second after it was freed (`.cargo/config.toml` says how),
/// which the C library does not: decision 0005.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit code for errors in flags, variables or the file (`EX_USAGE`).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args.with_keys(|name| std::env::var(name).ok()),
        Err(error) => return refuse_flags(&error),
    };
    if let Some(url) = &args.health {
        return match health::ask(url) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(stderr(), "remora: {error}");
                ExitCode::FAILURE
            }
        };
    }
    if args.example_config {
        let _ = write!(stdout(), "{}", example());
        return ExitCode::SUCCESS;
    }
    let config = match Config::load(&args) {
        Ok(config) => config,
        Err(error) => {
            let _ = writeln!(stderr(), "remora: {error}");
            return ExitCode::from(USAGE);
        }
    };
    if args.check_config {
        if let Err(error) = check(&config) {
            let _ = writeln!(stderr(), "remora: {error:#}");
            return ExitCode::from(USAGE);
        }
        let _ = writeln!(stdout(), "remora: the configuration is valid");
        return ExitCode::SUCCESS;
    }
    let filter = start_log(&config);
    match run(args, config, filter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "remora: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args, config: Config, filter: LogFilter) -> anyhow::Result<()> {
    allow_descriptors();
    // Signals are caught from here on, before the log shows that the proxy listens.
    Proxy::bind(config)?.run(args, filter, UnixSignals::catch)
}

/// Each client takes two descriptors and more, and the usual soft limit is for programs that use
/// `select`.
fn allow_descriptors() {
    let allowed = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: allowed.maximum,
        ..allowed
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

/// The signals of the operating system.
struct UnixSignals(Option<[unix::Signal; 3]>);

impl UnixSignals {
    fn catch() -> Self {
        let kinds = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ];
        let [terminate, interrupt, hangup] = kinds.map(unix::signal);
        Self(match (terminate, interrupt, hangup) {
            (Ok(terminate), Ok(interrupt), Ok(hangup)) => Some([terminate, interrupt, hangup]),
            // They cannot be caught: they end the process as they do by themselves.
            _ => None,
        })
    }
}

impl Signals for UnixSignals {
    async fn next(&mut self) -> Signal {
        let Some([terminate, interrupt, hangup]) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => Signal::Drain,
            _ = interrupt.recv() => Signal::Stop,
            _ = hangup.recv() => Signal::Reload,
        }
    }
}

/// Prints the help if it was asked for; otherwise the error, in one line.
fn refuse_flags(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let _ = writeln!(stderr(), "remora: {line} (see remora --help)");
    ExitCode::from(USAGE)
}

fn start_log(config: &Config) -> LogFilter {
    let filter = EnvFilter::new(with_quiet(&config.log.filter));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    let human = match config.log.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let now = &config.log.filter;
    if human {
        let builder = builder
            .with_ansi(stderr().is_terminal())
            .with_filter_reloading();
        let handle = builder.reload_handle();
        builder.init();
        LogFilter::new(now, move |filter| set(&handle, filter))
    } else {
        let builder = builder.json().flatten_event(true).with_filter_reloading();
        let handle = builder.reload_handle();
        builder.init();
        LogFilter::new(now, move |filter| set(&handle, filter))
    }
}

/// The filter, with libraries silent that it does not name: a client can make them log without a
/// limit of rate.
fn with_quiet(filter: &str) -> String {
    format!("h2=off,hyper=off,hyper_util=off,{filter}")
}

fn set<S>(handle: &Handle<EnvFilter, S>, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(with_quiet(filter)).map_err(|error| error.to_string())?;
    handle.reload(filter).map_err(|error| error.to_string())
}
