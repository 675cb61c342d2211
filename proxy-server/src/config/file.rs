//! The configuration file, with what flags and variables say put into it.

use std::path::Path;

use super::error::ConfigError;
use super::keys::{BrokerListener, File, Listener};
use crate::args::Args;

impl File {
    /// Reads the file that is named, and puts flags and variables into it, which win.
    ///
    /// # Errors
    /// Names the line that is wrong, or the flag.
    pub(super) fn load(args: &Args) -> Result<Self, ConfigError> {
        let mut file = match &args.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        file.override_by(args)?;
        Ok(file)
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File(format!("config: cannot read {name}: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let before = text.get(..span.start).unwrap_or_default();
            let number = before.lines().count().max(1);
            let line = before.rsplit('\n').next().unwrap_or_default().len();
            let line = text.get(span.start - line..).unwrap_or_default();
            let line = shown(line.lines().next().unwrap_or_default().trim());
            let number = number + usize::from(before.ends_with('\n') && !before.is_empty());
            // One line, whatever the value holds.
            let mut message = error.message().replace('\n', " ");
            if message.contains("invalid type: map, expected a sequence") {
                message = "this table may be given several times: write it in [[two brackets]]"
                    .to_owned();
            }
            ConfigError::File(format!("config: {name} line {number}, `{line}`: {message}"))
        })
    }

    fn override_by(&mut self, args: &Args) -> Result<(), ConfigError> {
        if let Some(list) = &args.name_server {
            let servers = list.split(';').map(str::trim).filter(|s| !s.is_empty());
            self.name_servers = servers.map(str::to_owned).collect();
        }
        if let Some(bind) = &args.listen {
            let bind = bind.clone();
            self.listener = vec![Listener {
                bind,
                ..Listener::default()
            }];
        }
        if self.listener.is_empty() {
            self.listener.push(Listener::default());
        }
        if let Some(advertise) = &args.advertise {
            for listener in &mut self.listener {
                listener.advertise = Some(advertise.clone());
            }
        }
        if !args.broker_listen.is_empty() {
            let listeners = args.broker_listen.iter().map(|text| broker_listener(text));
            self.broker_listener = listeners.collect::<Result<_, _>>()?;
        }
        set(&mut self.broker_addresses, &args.broker_addresses);
        set(&mut self.log, &args.log);
        set(&mut self.log_format, &args.log_format);
        if args.access_key.is_some() {
            self.credentials.access_key.clone_from(&args.access_key);
        }
        if args.admin.is_some() {
            self.admin.clone_from(&args.admin);
        }
        if let Some(workers) = &args.workers {
            let allowed = "a number from 1 to 1024";
            let number = workers.parse().ok();
            let number = number.ok_or_else(|| ConfigError::value("workers", workers, allowed))?;
            self.workers = Some(number);
        }
        match args.admin_relay.as_deref() {
            None => {}
            Some("true") => self.admin_relay = true,
            Some("false") => self.admin_relay = false,
            Some(other) => return Err(ConfigError::value("admin_relay", other, "true or false")),
        }
        Ok(())
    }
}

/// A line of the file as it may be shown: a secret that stands where none may stand stays one.
fn shown(line: &str) -> &str {
    match line.split_once('=') {
        Some((key, _)) if key.contains("secret") => key.trim(),
        _ => line,
    }
}

fn set(key: &mut String, given: &Option<String>) {
    if let Some(given) = given {
        key.clone_from(given);
    }
}

fn broker_listener(text: &str) -> Result<BrokerListener, ConfigError> {
    let allowed = "a broker's name and where to listen such as broker-a=0.0.0.0:10910";
    let invalid = || ConfigError::value("broker_listen", text, allowed);
    let (broker, bind) = text.split_once('=').ok_or_else(invalid)?;
    Ok(BrokerListener {
        broker: broker.to_owned(),
        bind: bind.to_owned(),
        ..BrokerListener::default()
    })
}
