//! The binary as its operators use it: flags, variables, exit codes, log.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use remoting_codec::{RemotingCommand, RequestCode};
use tokio::time::Instant;

/// A name server that is not there: nothing here needs one.
const NOBODY: &str = "127.0.0.1:1";

fn remora() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remora"));
    command.env_clear();
    command
}

fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output {
        status,
        stderr,
        stdout,
    } = command.output().unwrap();
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8(said).unwrap())
}

/// Starts it on a free port; answers where that is, and the rest of its log as it comes.
fn start() -> (Child, String, impl Iterator<Item = String>) {
    start_with(&["--listen", "127.0.0.1:0"])
}

/// As [`start`], with these arguments.
fn start_with(args: &[&str]) -> (Child, String, impl Iterator<Item = String> + use<>) {
    let mut command = remora();
    command.args(["-n", NOBODY]).args(args);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let listening = lines
        .find(|line| line.contains("listening for clients"))
        .unwrap();
    let address = listening.split("\"address\":\"").nth(1).unwrap();
    let address = address.split('"').next().unwrap().to_owned();
    (child, address, lines)
}

fn terminate(child: &mut Child) -> Option<i32> {
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    child.wait().unwrap().code()
}

#[test]
fn what_is_wrong_is_said_in_one_line_with_exit_code_64() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "name_servers = [\"a:1\"]\nlissen = \"x\"\n").unwrap();
    let path = file.path().to_str().unwrap();
    for (args, expected) in [
        (&[][..], "name_servers is not set"),
        (
            &["-n", "here"],
            "name_servers: \"here\" is not a host and port",
        ),
        (
            &["-n", NOBODY, "--listen", "8080"],
            "listener.bind: \"8080\" is not",
        ),
        (
            &["-n", NOBODY, "--lissen", "x"],
            "unexpected argument '--lissen'",
        ),
        (
            &["--config", "/nowhere.toml"],
            "config: cannot read /nowhere.toml",
        ),
        (
            &["--config", path],
            "unknown field `lissen`, expected one of",
        ),
    ] {
        let (code, said) = run(remora().args(args));
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(
            said.starts_with("remora: ") && said.lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn a_variable_counts_and_a_flag_counts_more() {
    let check = |command: &mut Command| run(command.arg("--check-config"));
    assert_eq!(check(remora().env("REMORA_NAME_SERVER", NOBODY)).0, Some(0));
    let odd = || {
        let mut command = remora();
        command
            .env("REMORA_NAME_SERVER", NOBODY)
            .env("REMORA_LISTEN", "odd");
        command
    };
    assert_eq!(check(&mut odd()).0, Some(64));
    assert_eq!(check(odd().args(["--listen", "127.0.0.1:0"])).0, Some(0));
    // As Kubernetes sets it for a Service named remora.
    let service = ("REMORA_PORT", "tcp://10.0.0.1:8080");
    assert_eq!(
        check(remora().args(["-n", NOBODY]).env(service.0, service.1)).0,
        Some(0)
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = run(remora().args(["-n", NOBODY, "--listen", &address]));
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("cannot listen on {address}")),
        "{said}"
    );
}

#[test]
fn nonsense_costs_its_sender_the_connection_and_us_one_warning() {
    let (mut child, address, lines) = start();
    let mut client = TcpStream::connect(&address).unwrap();
    let peer = client.local_addr().unwrap().to_string();
    client.write_all(&[0xff; 64]).unwrap();
    // Closed, or reset, for it has not read everything.
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    assert!(rest.is_empty());
    // A client that only connects and disconnects is not logged.
    drop(TcpStream::connect(&address).unwrap());
    assert_eq!(terminate(&mut child), Some(0));
    let warnings: Vec<_> = lines
        .filter(|line| line.contains("\"level\":\"WARN\""))
        .collect();
    let of_clients: Vec<_> = warnings
        .iter()
        .filter(|line| line.contains("\"peer\""))
        .collect();
    assert_eq!(of_clients.len(), 1, "{warnings:?}");
    assert!(of_clients[0].contains(&peer), "{warnings:?}");
}

#[test]
fn a_client_is_called_what_its_balancer_says() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "proxy_protocol_from = [\"127.0.0.1\"]\n[[listener]]\nbind = \"127.0.0.1:0\"\nproxy_protocol = true\n",
    )
    .unwrap();
    let file = file.path().to_str().unwrap();
    let (mut child, address, lines) = start_with(&["--config", file]);
    let mut client = TcpStream::connect(&address).unwrap();
    client
        .write_all(b"PROXY TCP4 198.51.100.9 203.0.113.7 40000 20000\r\n\xff\xff\xff\xff")
        .unwrap();
    let _ = client.read_to_end(&mut Vec::new());
    // One that says nothing about a client is refused, which is said, but not without end.
    for _ in 0..100 {
        let mut stranger = TcpStream::connect(&address).unwrap();
        stranger.write_all(b"hello").unwrap();
        let _ = stranger.read_to_end(&mut Vec::new());
    }
    assert_eq!(terminate(&mut child), Some(0));
    let of_clients: Vec<_> = lines
        .filter(|line| line.contains("\"level\":\"WARN\"") && line.contains("\"peer\""))
        .collect();
    assert!((11..100).contains(&of_clients.len()), "{of_clients:?}");
    assert!(
        of_clients[0].contains("198.51.100.9:40000"),
        "{of_clients:?}"
    );
    assert!(of_clients[1].contains("refused"), "{of_clients:?}");
}

#[test]
fn a_client_that_meets_a_limit_is_logged_with_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let limits = "[limits]\nconnections_per_address = 1\nidle_ms = 2000\n";
    std::fs::write(file.path(), limits).unwrap();
    let file = file.path().to_str().unwrap();
    let (mut child, address, lines) = start_with(&["--listen", "127.0.0.1:0", "--config", file]);
    let mut silent = TcpStream::connect(&address).unwrap();
    let heartbeat =
        RemotingCommand::request(RequestCode::HEART_BEAT).with_body(r#"{"clientID":"c1"}"#);
    silent.write_all(&heartbeat.to_bytes()).unwrap();
    silent.read_exact(&mut [0; 4]).unwrap();
    let mut second = TcpStream::connect(&address).unwrap();
    let peers = [&silent, &second].map(|client| client.local_addr().unwrap().to_string());
    for client in [&mut second, &mut silent] {
        // Until the end: closed, or reset.
        let _ = client.read_to_end(&mut Vec::new());
    }
    assert_eq!(terminate(&mut child), Some(0));
    let of_limits: Vec<_> = lines.filter(|line| line.contains("\"limit\"")).collect();
    let [refused, ended] = &of_limits[..] else {
        panic!("{of_limits:?}");
    };
    for part in ["\"client refused\"", "connections_per_address", &peers[1]] {
        assert!(refused.contains(part), "{refused}");
    }
    for part in ["\"client ended at a limit\"", "idle", "\"c1\"", &peers[0]] {
        assert!(ended.contains(part), "{ended}");
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("remora.toml");
    let missing = folder.path().join("tls.crt");
    std::fs::write(
        &file,
        format!(
            "name_servers = [\"{NOBODY}\"]\n[tls]\nmode = \"required\"\n[[tls.certificate]]\ncertificate = {missing:?}\nkey = {missing:?}\n"
        ),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    for (check, expected) in [(Some("--check-config"), 64), (None, 1)] {
        let (code, said) = run(remora().args(["--config", file]).args(check));
        assert_eq!(code, Some(expected), "{said}");
        let named = format!("tls.certificate.certificate: {}", missing.display());
        assert!(said.contains(&named), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn keys_of_tls_that_would_do_nothing_are_refused_at_the_start_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("remora.toml");
    for (text, expected) in [
        (
            "[tls]\nclient_auth = \"required\"\n",
            "write mode = \"required\"",
        ),
        ("[upstream_tls]\nca = \"/ca\"\n", "write mode = \"on\""),
    ] {
        std::fs::write(&file, format!("name_servers = [\"{NOBODY}\"]\n{text}")).unwrap();
        for check in [Some("--check-config"), None] {
            let (code, said) = run(remora().arg("--config").arg(&file).args(check));
            assert_eq!(code, Some(64), "{said}");
            assert!(
                said.contains(expected) && said.lines().count() == 1,
                "{said}"
            );
        }
    }
}

#[test]
fn it_stops_in_order() {
    let (mut child, address, mut lines) = start();
    let mut client = TcpStream::connect(&address).unwrap();
    assert_eq!(terminate(&mut child), Some(0));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert!(lines.any(|line| line.contains("stopped")));
}

#[test]
fn the_configuration_is_read_again_on_sighup() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = free.local_addr().unwrap().to_string();
    drop(free);
    let text = |rest: &str| {
        format!(
            "name_servers = [\"{NOBODY}\"]\nadmin = \"{admin}\"\n{rest}[[listener]]\nbind = \"127.0.0.1:0\"\n"
        )
    };
    std::fs::write(file.path(), text("workers = 2\n")).unwrap();
    let mut command = remora();
    command.arg("--config").arg(file.path());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.any(|line| line.contains("\"started\"")));
    let hang_up = |child: &Child| {
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
        assert!(sent.success());
    };
    std::fs::write(file.path(), text("nonsense = 1\n")).unwrap();
    hang_up(&child);
    let refused = lines.find(|line| line.contains("stays as it is")).unwrap();
    assert!(refused.contains("nonsense"), "{refused}");
    let changed = text("workers = 1\nadmin_relay = true\nlog = \"debug\"\n");
    std::fs::write(file.path(), changed).unwrap();
    // What waits for a restart is logged each time, what is in effect once.
    for applied in ["\"log, admin_relay\"", "\"\""] {
        hang_up(&child);
        let fixed = lines
            .find(|line| line.contains("restart to apply"))
            .unwrap();
        assert!(
            fixed.contains("\"WARN\"") && fixed.contains("\"key\":\"workers\""),
            "{fixed}"
        );
        let reloaded = lines
            .find(|line| line.contains("configuration reloaded"))
            .unwrap();
        for part in [
            format!("\"changed\":{applied}"),
            "\"waiting\":\"workers\"".to_owned(),
        ] {
            assert!(reloaded.contains(&part), "{reloaded}");
        }
        let config = ask(&admin, "/config");
        let in_effect = "\nworkers = 2\n# waits for a restart: workers = 1\n";
        assert!(config.contains(in_effect), "{config}");
        assert!(config.contains("\nadmin_relay = true\n"), "{config}");
    }
    // The filter has changed: what is debug is logged.
    assert!(lines.any(|line| line.contains("\"DEBUG\"")));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Asks an admin listener for a path; returns its whole answer.
fn ask(admin: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn at_the_limit_of_open_files_who_is_there_is_served_and_others_are_told() {
    // A name server that hangs up: Remora connects again and again, as far as it can.
    let name_server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = name_server.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    std::thread::spawn(move || {
        for stream in name_server.incoming() {
            drop(stream);
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = free().local_addr().unwrap().to_string();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 256; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_remora"))
        .args([
            "-n",
            &at,
            "--listen",
            "127.0.0.1:0",
            "--admin",
            &admin,
            "--workers",
            "2",
        ])
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut early = Vec::new();
    let listening = lines
        .by_ref()
        .inspect(|line| early.push(line.clone()))
        .find(|line| line.contains("listening for clients"))
        .unwrap();
    let address = listening.split("\"address\":\"").nth(1).unwrap();
    let address = address.split('"').next().unwrap();
    let told = |line: &String| line.contains("room for fewer clients") && line.contains(":256");
    assert!(early.iter().any(told), "{early:?}");

    let request = RemotingCommand::request(RequestCode(9999)).to_bytes();
    let served = |client: &mut TcpStream| {
        client.write_all(&request).is_ok() && client.read_exact(&mut [0; 64]).is_ok()
    };
    let mut clients: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for client in &clients {
        client
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
    }
    clients.retain_mut(served);
    assert!((50..200).contains(&clients.len()), "{}", clients.len());
    let before = asked.load(Ordering::Relaxed);
    for path in ["/livez", "/metrics"] {
        let begun = Instant::now();
        let answer = ask(&admin, path);
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    let begun = Instant::now();
    while asked.load(Ordering::Relaxed) < before + 2 {
        assert!(begun.elapsed() < Duration::from_secs(10), "not reached");
        std::thread::sleep(Duration::from_millis(50));
    }
    for client in &mut clients {
        assert_eq!(client.write_all(&request).ok(), Some(()));
    }
    // One that goes makes room for another.
    drop(clients.pop());
    let begun = Instant::now();
    while !TcpStream::connect(address).is_ok_and(|mut client| served(&mut client)) {
        assert!(begun.elapsed() < Duration::from_secs(5), "no room");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let refused: Vec<_> = lines.filter(|l| l.contains("client refused")).collect();
    assert!((1..100).contains(&refused.len()), "{refused:?}");
    assert!(refused[0].contains("limit of open files"), "{refused:?}");
}
