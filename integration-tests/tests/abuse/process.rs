//! Rows 16, 17 and 18, the admin listener and labels: what the process as a whole can be brought
//! to.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use anyhow::{Result, bail};
use integration_tests::{
    abuse::{Attack, Line, Outcome, Request, World, admin_get},
    tls::Authority,
};
use remoting_codec::RequestCode;
use tokio::time::sleep;

use crate::{
    Abuse, Test,
    codes::{GROUP, heartbeat, register},
    lookups::look_up_new,
    test,
};

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("more_clients_than_descriptors", descriptors),
        test("ids_of_900_kb", long_ids),
        test("oneway_requests_to_name_servers", relayed_oneway),
        test("tls_that_would_be_off", tls_settings),
        test("languages_and_versions", labels),
        test("many_at_the_admin_listener", |abuse, name| {
            admin(abuse, name, Duration::from_secs(4), 0)
        }),
    ]
}

pub(crate) fn all() -> Vec<(String, Test)> {
    vec![test("idle_ones_at_the_admin_listener", |abuse, name| {
        admin(abuse, name, Duration::from_secs(40), 16)
    })]
}

fn descriptors(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const CLIENTS: usize = 300;
    let dir = abuse.scratch.path().join(name);
    fs::create_dir_all(&dir)?;
    let limited = dir.join("limited.sh");
    let mut script = fs::File::create(&limited)?;
    writeln!(
        script,
        "#!/bin/sh\nulimit -n 256\nexec '{}' \"$@\"",
        abuse.binary.display()
    )?;
    script.set_permissions(fs::Permissions::from_mode(0o755))?;
    drop(script);
    let world = World::start(&limited, &dir, "")?;
    let attack = Attack::new(name, "16", "300 clients at a limit of 256 descriptors");
    world.judge(&attack, |ground| async move {
        ground
            .many(CLIENTS, |mut line, nth| async move {
                line.send(&register(&format!("many-{nth}"))).await?;
                line.drain().await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn long_ids(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const LOG_MAX: u64 = 1_000_000;
    let world = abuse.world(name, "")?;
    let attack = Attack::new(name, "17", "30 clients with ids of 900 KB");
    let mut outcome = world.judge(&attack, |ground| async move {
        ground
            .many(30, |mut line, nth| async move {
                let id = format!("{nth}-{}", "i".repeat(900_000));
                line.send(&register(&id)).await?;
                line.drain_for(Duration::from_secs(1)).await
            })
            .await;
        Ok(())
    })?;
    let length = fs::metadata(world.remora().process().log())?.len();
    outcome.notes.push(format!("a log of {} KB", length / 1000));
    if length > LOG_MAX {
        let text = format!("the log has {} MB", length / 1_000_000);
        outcome.broken.push(text);
    }
    Ok(outcome)
}

/// A name server answers none, and others wait for the same connection.
fn relayed_oneway(abuse: &Abuse, name: &str) -> Result<Outcome> {
    /// `GET_NAMESRV_CONFIG`, `GET_KVLIST_BY_NAMESPACE`.
    const CODES: [i32; 2] = [319, 219];
    let world = abuse.world(name, "admin_relay = true\n")?;
    let attack = Attack::new(
        name,
        "17",
        "one-way requests for name servers, through admin relay",
    )
    .lasting(Duration::from_secs(7));
    world.judge(&attack, |ground| async move {
        let flood = ground.many(4, |mut line, _| async move {
            loop {
                for code in CODES {
                    let asked = Request::new(RequestCode(code)).field("namespace", "x");
                    line.send(&asked.oneway()).await?;
                }
                line.drain_for(Duration::from_millis(50)).await?;
            }
        });
        let ended = async {
            flood.await;
            // Connections may be ended for it.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = ended => Ok(()),
            failed = look_up_new(&ground) => failed,
        }
    })
}

/// What an operator has meant to be safe must not be off.
fn tls_settings(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const USAGE: i32 = 64;
    let dir = abuse.scratch.path().join(name);
    fs::create_dir_all(&dir)?;
    let authority = Authority::new()?;
    let ca = authority.write(&dir)?.display().to_string();
    let (certificate, key) = authority.issue("localhost")?.write(&dir)?;
    let own = format!(
        "[[tls.certificate]]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    let files = [
        format!("[tls]\nclient_auth = \"required\"\nclient_ca = \"{ca}\"\n{own}"),
        format!(
            "[tls]\nmode = \"permissive\"\nclient_auth = \"required\"\nclient_ca = \"{ca}\"\n{own}"
        ),
        format!("[upstream_tls]\nca = \"{ca}\"\n"),
        "[upstream_tls]\nverify = \"full\"\n".to_owned(),
    ];
    let mut outcome = Outcome {
        name: name.to_owned(),
        row: "18",
        what: "TLS that is asked for in part",
        ..Outcome::default()
    };
    for text in files {
        let file = dir.join("remora.toml");
        fs::write(
            &file,
            format!("name_servers = [\"127.0.0.1:9876\"]\n{text}"),
        )?;
        let checked = Command::new(&abuse.binary)
            .args(["--check-config", "--config"])
            .arg(&file)
            .output()?;
        if checked.status.code() != Some(USAGE) {
            let heading = text.lines().take(3).collect::<Vec<_>>().join(", ");
            let errors = String::from_utf8_lossy(&checked.stderr).into_owned();
            outcome
                .broken
                .push(format!("taken: {heading} ({}{errors})", checked.status));
        }
    }
    Ok(outcome)
}

fn labels(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const LANGUAGES: [&str; 14] = [
        "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO",
        "PHP", "OMS", "RUST", "NODE_JS",
    ];
    const VERSIONS: usize = 100;
    const SERIES_MAX: usize = 600;
    let world = abuse.world(name, "")?;
    let attack = Attack::new(
        name,
        "20",
        "1,400 clients, each with a language and version of its own",
    )
    .lasting(Duration::from_secs(6));
    let mut outcome = world.judge(&attack, |ground| async move {
        let before = series(&ground.metrics()?);
        let mut lines = Vec::new();
        for version in 0..VERSIONS {
            for language in LANGUAGES {
                let body = heartbeat(&format!("{language}-{version}"), GROUP, "known-attackers");
                let request = Request::new(RequestCode::HEART_BEAT).body(body);
                let members = [
                    ("language", format!("\"{language}\"")),
                    ("version", (version * 5).to_string()),
                ];
                let members = members
                    .each_ref()
                    .map(|(name, value)| (*name, value.as_str()));
                let mut line = ground.line().await?;
                line.write(&request.to_frame_with(1, &members)).await?;
                lines.push(line);
            }
            // Labels are what is judged here; `connects` judges clients that connect at once.
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_secs(1)).await;
        let grown = series(&ground.metrics()?).saturating_sub(before);
        if grown > SERIES_MAX {
            bail!("{grown} series more in /metrics");
        }
        Ok(())
    })?;
    outcome
        .notes
        .push(format!("at most {SERIES_MAX} series more"));
    Ok(outcome)
}

fn series(metrics: &str) -> usize {
    let lines = metrics.lines();
    lines.filter(|line| !line.starts_with('#')).count()
}

/// Whether other connections are answered there meanwhile, and whether the silent ones are ended,
/// except for `left_max` of them.
fn admin(abuse: &Abuse, name: &str, time: Duration, left_max: usize) -> Result<Outcome> {
    const CONNECTIONS: usize = 600;
    let attack = Attack::new(
        name,
        "21",
        "600 connections to the admin listener that say nothing, or half of it",
    )
    .lasting(time);
    abuse.judge(&attack, move |ground| async move {
        let mut lines = Vec::new();
        for nth in 0..CONNECTIONS {
            let mut line = Line::open(ground.admin).await?;
            if nth % 2 == 0 {
                line.write(b"GET /metrics HTTP/1.1\r\nHost: ").await?;
            }
            lines.push(line);
        }
        if left_max > 0 {
            sleep(time - Duration::from_secs(3)).await;
            let mut left = 0;
            for line in &mut lines {
                if !line.is_closed_within(Duration::from_millis(1)).await {
                    left += 1;
                }
            }
            if left > left_max {
                bail!("{left} connections that say nothing are still there");
            }
        }
        ground.stay().await;
        Ok(())
    })
}

/// What a scrape gets.
trait Scraped {
    fn metrics(&self) -> Result<String>;
}

impl Scraped for integration_tests::abuse::Ground {
    fn metrics(&self) -> Result<String> {
        admin_get(self.admin, "/metrics", Duration::from_secs(5))
    }
}
