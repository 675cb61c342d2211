//! The key with which Remora signs what it asks in its own name.

use route_cache::{Credentials, Secret};

use super::error::ConfigError;
use super::keys::File;
use crate::args::Args;

/// The keys of the file and of the variables, which win; none when neither part of it is given.
pub(super) fn credentials(file: &File, args: &Args) -> Result<Option<Credentials>, ConfigError> {
    let access_key = file.credentials.access_key.as_deref().unwrap_or_default();
    match (access_key, secret_key(file, args)?) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err(ConfigError::Missing {
            key: "credentials.access_key",
            allowed: "there is a secret key; set its access key in the file or as REMORA_ACCESS_KEY".into(),
        }),
        (_, None) => Err(ConfigError::Missing {
            key: "credentials.secret_key_file",
            allowed: "there is an access key; name the file with its secret key, or set REMORA_SECRET_KEY to that key".into(),
        }),
        (access_key, Some(secret)) => Ok(Some(Credentials::new(access_key, secret))),
    }
}

fn secret_key(file: &File, args: &Args) -> Result<Option<Secret>, ConfigError> {
    if args.secret_key.is_some() {
        return Ok(args.secret_key.clone());
    }
    let Some(path) = &file.credentials.secret_key_file else {
        return Ok(None);
    };
    let wrong = |allowed: &str| ConfigError::value("credentials.secret_key_file", path, allowed);
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(&format!("a text file that can be read: {error}")))?;
    // Editors end a file with a line break.
    match text.trim() {
        "" => Err(wrong("a file with a key in it")),
        key => Ok(Some(Secret::new(key))),
    }
}
