//! Reading the configuration again while the proxy runs.

use super::entry::TakeLive;
use super::keys::File;
use super::{Config, ConfigError, credentials, document};
use crate::args::Args;

/// The outcome of a successful reload.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// The configuration that is in effect now.
    pub config: Config,
    /// The keys with a new value in effect.
    pub changed: Vec<String>,
    /// The keys whose new value waits for a restart.
    pub waiting: Vec<String>,
}

impl Config {
    /// Reads the file again. Keys that need a restart keep the value that is in effect.
    ///
    /// # Errors
    /// As [`Self::load`]; then the configuration stays as it is. Also when a value is not possible
    /// together with one that waits for a restart.
    pub fn reload(&self, args: &Args) -> Result<Reloaded, ConfigError> {
        let file = File::load(args)?;
        let credentials = credentials::credentials(&file, args)?;
        // The whole file must be valid, not only what applies now.
        Self::build(file.clone(), credentials.clone())?;
        let mut in_effect = self.file.clone();
        in_effect.take_live(&file);
        let changed = document::differences(&self.file, &in_effect);
        let mut waiting = document::differences(&in_effect, &file);
        let mut config = Self::build(in_effect, self.upstream.credentials.clone())
            .map_err(|error| ConfigError::NeedsRestart(error.to_string()))?;
        config.effective = document::effective(&config.file, &file);
        let of_credentials = |key: &String| key.starts_with("credentials.");
        if credentials != self.upstream.credentials && !waiting.iter().any(of_credentials) {
            let key = "credentials.secret_key_file".to_owned();
            config
                .effective
                .push_str("# waits for a restart: what secret_key_file contains now\n");
            waiting.push(key);
        }
        Ok(Reloaded {
            config,
            changed,
            waiting,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const FILE: &str = "name_servers = [\"a:1\"]\n";

    fn args(path: &Path) -> Args {
        Args {
            config: Some(path.to_owned()),
            ..Args::default()
        }
    }

    /// Starts with the first file and reloads each of the others.
    fn reloads<const N: usize>(first: &str, others: [&str; N]) -> [Reloaded; N] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let args = args(file.path());
        fs::write(file.path(), format!("{FILE}{first}")).unwrap();
        let mut config = Config::load(&args).unwrap();
        others.map(|text| {
            fs::write(file.path(), format!("{FILE}{text}")).unwrap();
            let reloaded = config.reload(&args).unwrap();
            config = reloaded.config.clone();
            reloaded
        })
    }

    fn has_line(config: &Config, line: &str) -> bool {
        config.effective.lines().any(|one| one == line)
    }

    #[test]
    fn a_live_key_applies_and_another_waits_every_time() {
        let changed =
            "workers = 3\nadmin_relay = true\n[limits]\nconnections = 5\nidle_ms = 9000\n";
        let first = "workers = 2\n";
        let [once, again, back] = reloads(first, [changed, changed, first]);
        assert_eq!(once.changed, ["admin_relay", "limits.idle_ms"]);
        assert_eq!(again.changed, [""; 0]);
        for reloaded in [&once, &again] {
            assert_eq!(reloaded.waiting, ["workers", "limits.connections"]);
            let config = &reloaded.config;
            assert_eq!((config.workers, config.limits.connections), (2, 50_000));
            assert!(config.settings.admin_relay);
            assert_eq!(config.limits.idle_time.as_millis(), 9000);
            for line in [
                "workers = 2",
                "# waits for a restart: workers = 3",
                "connections = 50000",
                "# waits for a restart: connections = 5",
                "admin_relay = true",
                "idle_ms = 9000",
            ] {
                assert!(has_line(config, line), "{line}\n{}", config.effective);
            }
        }
        assert_eq!(back.changed, ["admin_relay", "limits.idle_ms"]);
        assert_eq!(back.waiting, [""; 0]);
        assert!(!back.config.effective.contains("waits"));
    }

    #[test]
    fn what_is_in_effect_is_a_valid_file_with_the_effective_values() {
        let first = "workers = 2\nadmin = \"127.0.0.1:1\"\n[[listener]]\nbind = \"0.0.0.0:8080\"\n";
        let second = "node_id = \"new\"\n[[listener]]\nbind = \"0.0.0.0:9090\"\n[[broker_listener]]\nbroker = \"b\"\nbind = \"0.0.0.0:10910\"\n";
        let [reloaded] = reloads(first, [second]);
        let waiting = [
            "admin",
            "workers",
            "node_id",
            "listener.bind",
            "broker_listener",
        ];
        assert_eq!(reloaded.waiting, waiting);
        let text = &reloaded.config.effective;
        for line in [
            "admin = \"127.0.0.1:1\"",
            "# waits for a restart: admin is not set",
            "# waits for a restart: node_id = \"new\"",
            "bind = \"0.0.0.0:8080\"",
            "# waits for a restart: bind = \"0.0.0.0:9090\"",
            "# waits for a restart: 1 of [[broker_listener]]",
            "# waits for a restart: broker = \"b\"",
        ] {
            assert!(has_line(&reloaded.config, line), "{line}\n{text}");
        }
        let shown = tempfile::NamedTempFile::new().unwrap();
        fs::write(shown.path(), text).unwrap();
        let shown = Config::load(&args(shown.path())).unwrap();
        assert_eq!(
            document::differences(&shown.file, &reloaded.config.file),
            [""; 0]
        );
    }

    #[test]
    fn a_new_secret_key_in_the_same_file_waits() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        fs::write(secret.path(), "old").unwrap();
        let path = secret.path().display();
        let file = tempfile::NamedTempFile::new().unwrap();
        let text =
            format!("{FILE}[credentials]\naccess_key = \"k\"\nsecret_key_file = \"{path}\"\n");
        fs::write(file.path(), text).unwrap();
        let args = args(file.path());
        let config = Config::load(&args).unwrap();
        fs::write(secret.path(), "new").unwrap();
        for _ in 0..2 {
            let reloaded = config.reload(&args).unwrap();
            assert_eq!(reloaded.waiting, ["credentials.secret_key_file"]);
            assert_eq!(
                reloaded.config.upstream.credentials,
                config.upstream.credentials
            );
            let text = &reloaded.config.effective;
            assert!(
                text.contains("waits for a restart: what secret_key_file"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_that_is_valid_only_after_a_restart_changes_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let args = args(file.path());
        fs::write(file.path(), FILE).unwrap();
        let config = Config::load(&args).unwrap();
        let larger = "[limits]\nframe_bytes = 33554432\nheartbeat_bytes = 33554432\n";
        fs::write(file.path(), format!("{FILE}{larger}")).unwrap();
        assert!(Config::load(&args).is_ok());
        let refusal = config.reload(&args).unwrap_err().to_string();
        assert!(refusal.starts_with("limits.heartbeat_bytes: "), "{refusal}");
        assert!(refusal.ends_with("restart to apply both"), "{refusal}");
    }
}
