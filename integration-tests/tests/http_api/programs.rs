//! Programs that use the API as users do: a client that a standard generator makes of the
//! description, and the commands of the documents.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use integration_tests::process::mortal;
use integration_tests::rocketmq::MessageType;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use integration_tests::workspace::{crate_dir, target_dir};

use crate::common::Client;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("a_generated_client_works", a_generated_client_works),
    ("the_documents_commands_work", the_documents_commands_work),
];

fn run(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let (out, errors) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    ensure!(status.success(), "{name}: {status}\n{out}\n{errors}");
    Ok(out.into_owned())
}

fn a_generated_client_works(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    let out = target_dir().join("openapi-client");
    let install = crate_dir().join("scripts/install-openapi-client.sh");
    run(mortal(install).arg(&out))?;
    let bin = out.join("venv/bin");
    let dir = it.dir("generated")?;
    let document = dir.join("openapi.json");
    fs::write(&document, http_api::json::DOCUMENT)?;
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut generate = mortal(bin.join("openapi-python-client"));
    generate
        .env("PATH", path)
        .args(["generate", "--meta", "none", "--overwrite"]);
    generate.arg("--path").arg(&document);
    generate.arg("--output-path").arg(dir.join("remora_client"));
    run(&mut generate)?;
    let mut program = mortal(bin.join("python"));
    program
        .env("PYTHONPATH", &dir)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    program.arg(crate_dir().join("clients/http-openapi/main.py"));
    program.arg(format!("http://{}", client.address));
    let printed = run(program.args([&client.topic, &client.group]))?;
    ensure!(printed.trim() == "done", "{printed}");
    Ok(())
}

/// The commands of a document, in its order.
fn commands(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path)?;
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    Ok(blocks.collect::<Vec<_>>().join("\n"))
}

/// Every command of the page about HTTP is run, one after the other, and none fails. Its topics
/// and groups are made before.
fn the_documents_commands_work(it: &Scenario<'_>) -> Result<()> {
    let client = Client::with_topic(it, "orders")?;
    let cluster = it.cluster();
    cluster.create_topic("orders", 4)?;
    cluster.create_topic("questions", 4)?;
    cluster.create_typed_topic("reminders", MessageType::Delay, 4)?;
    cluster.create_typed_topic("accounts", MessageType::Fifo, 4)?;
    cluster.create_typed_topic("payments", MessageType::Transaction, 4)?;
    let document: PathBuf = crate_dir().join("../proxy-server/docs/http.md");
    let commands = commands(&document)?;
    ensure!(commands.matches("curl").count() >= 15, "{commands}");
    let own = format!("http://{}", client.address);
    let commands = commands.replace("http://localhost:8080", &own);
    // What a reader would see is an error here.
    let script = format!(
        "set -euo pipefail\ncurl() {{ command curl --silent --show-error --fail-with-body --max-time 60 \
         \"$@\"; }}\n{commands}\nwait\necho done"
    );
    let printed = run(mortal("bash")
        .current_dir(it.dir("commands")?)
        .arg("-c")
        .arg(script))?;
    ensure!(printed.trim().ends_with("done"), "{printed}");
    // The stream ends by its client's time limit, whatever it has brought.
    ensure!(printed.contains("retry: "), "{printed}");
    Ok(())
}
