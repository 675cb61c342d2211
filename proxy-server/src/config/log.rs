//! What is logged, and how.

use tracing_subscriber::EnvFilter;

use super::error::ConfigError;
use super::keys::File;

/// The filter and the form of the log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Directives of tracing-subscriber's `EnvFilter`.
    pub filter: String,
    /// The form of its lines.
    pub format: LogFormat,
}

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Lines for people on a terminal, else JSON.
    Auto,
    /// Lines for people.
    Human,
    /// An object a line.
    Json,
}

pub(super) fn log(file: &File) -> Result<LogConfig, ConfigError> {
    let filter = file.log.clone();
    if check_filter(&filter).is_err() {
        let allowed = "a list of directives such as info or route_cache=debug,info";
        return Err(ConfigError::value("log", &filter, allowed));
    }
    let format = match file.log_format.as_str() {
        "auto" => LogFormat::Auto,
        "human" => LogFormat::Human,
        "json" => LogFormat::Json,
        other => {
            let allowed = "auto, human or json";
            return Err(ConfigError::value("log_format", other, allowed));
        }
    };
    Ok(LogConfig { filter, format })
}

/// Checks the directives of a log filter. A word that is not a level would count as the name of a
/// target, so a typing error would silence the log.
///
/// # Errors
/// When it is none, with what is wrong.
pub(crate) fn check_filter(filter: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
    for directive in filter.split(',').map(str::trim) {
        let is_word = !directive.is_empty() && !directive.contains(['=', '[']);
        if is_word
            && !LEVELS
                .iter()
                .any(|level| level.eq_ignore_ascii_case(directive))
        {
            let levels = LEVELS.join(", ");
            return Err(format!("{directive} is no level: one of {levels}"));
        }
    }
    Ok(())
}
