//! The `remora` binary: flags, configuration, log, and then the proxy until it is told to stop.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use proxy_server::{Args, Config, LogFormat, Proxy, example};
use tikv_jemallocator::Jemalloc;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Gives memory back to the system a second after it was freed (`.cargo/config.toml` says how), which the C library
/// does not: decision 0005.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Exit code for what is wrong with flags, variables or the file (`EX_USAGE`).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse_flags(&error),
    };
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
        let _ = writeln!(stdout(), "remora: the configuration is valid");
        return ExitCode::SUCCESS;
    }
    start_log(&config);
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "remora: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> anyhow::Result<()> {
    let proxy = Proxy::bind(config)?;
    proxy.run(|| {
        // Caught from here on, before anybody is told that the proxy listens.
        let terminated = signal(SignalKind::terminate());
        let interrupted = signal(SignalKind::interrupt());
        async {
            match (terminated, interrupted) {
                (Ok(mut terminated), Ok(mut interrupted)) => tokio::select! {
                    _ = terminated.recv() => {}
                    _ = interrupted.recv() => {}
                },
                _ => std::future::pending().await,
            }
        }
    })
}

/// Help goes where it was asked for; what is wrong is said in one line.
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

fn start_log(config: &Config) {
    let filter = EnvFilter::new(&config.log.filter);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    let human = match config.log.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    if human {
        builder.with_ansi(stderr().is_terminal()).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}
