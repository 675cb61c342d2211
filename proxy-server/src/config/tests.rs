use std::io::Write;

use remoting::AdvertiseBrokers;
use remoting_codec::{RemotingCommand, RequestCode};

use super::*;

fn args(name_server: &str) -> Args {
    Args {
        name_server: Some(name_server.to_owned()),
        ..Args::default()
    }
}

fn with_file(text: &str) -> (Args, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let args = Args {
        config: Some(file.path().to_owned()),
        ..Args::default()
    };
    (args, file)
}

fn refusal(text: &str) -> String {
    let (args, _file) = with_file(text);
    let refusal = Config::load(&args).unwrap_err().to_string();
    assert_eq!(refusal.lines().count(), 1, "{refusal}");
    refusal
}

#[test]
fn a_name_server_is_enough() {
    let config = Config::load(&args("127.0.0.1:9876")).unwrap();
    assert_eq!(config.name_servers[0].as_str(), "127.0.0.1:9876");
    assert_eq!(config.listeners[0].bind, "0.0.0.0:8080".parse().unwrap());
    assert!(config.listeners[0].advertise.is_none());
    assert!(config.admin.is_none());
    assert_eq!(config.upstream.frame_limit, 16 * 1024 * 1024);
}

#[test]
fn without_a_name_server_nothing_starts() {
    let refusal = Config::load(&Args::default()).unwrap_err().to_string();
    assert!(refusal.starts_with("name_servers is not set"), "{refusal}");
}

#[test]
fn the_file_says_everything_and_a_flag_wins() {
    let (mut args, _file) = with_file(
        r#"
        name_servers = ["ns-0:9876", "[fd00::1]:9876"]
        admin = "127.0.0.1:9100"
        workers = 3
        log_format = "json"
        [[listener]]
        bind = "0.0.0.0:8080"
        advertise = "mq.example.com:8080"
        [limits]
        frame_bytes = 1048576
        [timeouts]
        lock_ms = 500
        "#,
    );
    let config = Config::load(&args).unwrap();
    assert_eq!(config.name_servers[1].as_str(), "[fd00::1]:9876");
    let advertise = config.listeners[0].advertise.as_ref().unwrap();
    assert_eq!(advertise.as_str(), "mq.example.com:8080");
    assert_eq!(config.workers, 3);
    assert_eq!(config.upstream.frame_limit, 1_048_576);
    assert_eq!(config.settings.policy.lock_time.as_millis(), 500);
    assert_eq!(config.log.format, LogFormat::Json);

    args.name_server = Some("other:9876;another:9876".to_owned());
    args.advertise = Some("other.example.com:80".to_owned());
    let config = Config::load(&args).unwrap();
    assert_eq!(config.name_servers.len(), 2);
    assert_eq!(config.name_servers[0].as_str(), "other:9876");
    let advertise = config.listeners[0].advertise.as_ref().unwrap();
    assert_eq!(advertise.as_str(), "other.example.com:80");
}

#[test]
fn a_refusal_names_key_value_and_what_is_allowed() {
    let unknown = refusal("name_servers = [\"a:1\"]\nname_server = \"a:1\"\n");
    assert!(
        unknown.contains("line 2") && unknown.contains("`name_server`"),
        "{unknown}"
    );
    assert!(
        unknown.contains("expected one of `name_servers`"),
        "{unknown}"
    );

    let wrong_type = refusal("[limits]\nframe_bytes = \"big\"\n");
    assert!(
        wrong_type.contains("line 2, `frame_bytes = \"big\"`"),
        "{wrong_type}"
    );

    for (text, key) in [
        ("name_servers = [\"a\"]", "name_servers: \"a\""),
        (
            "name_servers = [\"http://a:1\"]",
            "name_servers: \"http://a:1\"",
        ),
        ("name_servers = [\"a:0\"]", "name_servers: \"a:0\""),
        (
            "name_servers = [\"a:1\"]\nadmin = \"here\"",
            "admin: \"here\"",
        ),
        ("name_servers = [\"a:1\"]\nworkers = 0", "workers: \"0\""),
        (
            "name_servers = [\"a:1\"]\nlog_format = \"xml\"",
            "log_format: \"xml\"",
        ),
        (
            "name_servers = [\"a:1\"]\nlog = \"a=b=c\"",
            "log: \"a=b=c\"",
        ),
        ("name_servers = [\"a:1\"]\nlog = \"loud\"", "log: \"loud\""),
        (
            "name_servers = [\"a:1\"]\n[[listener]]\nbind = \"localhost\"",
            "listener.bind: \"localhost\"",
        ),
        (
            "name_servers = [\"a:1\"]\n[[listener]]\nbind = \"0.0.0.0:1\"\nadvertise = \"mq\"",
            "listener.advertise: \"mq\"",
        ),
        (
            "name_servers = [\"a:1\"]\n[limits]\nframe_bytes = 1",
            "limits.frame_bytes: \"1\"",
        ),
        (
            "name_servers = [\"a:1\"]\n[routes]\nrefresh_ms = 60000",
            "routes.refresh_ms: \"60000\"",
        ),
    ] {
        let refusal = refusal(text);
        assert!(refusal.starts_with(key), "{refusal}");
        assert!(refusal.contains(" is not "), "{refusal}");
    }
}

#[test]
fn brokers_have_ports_of_their_own() {
    let (mut args, _file) = with_file(
        r#"
        name_servers = ["ns:9876"]
        broker_addresses = "always"
        admin_relay = true
        [[broker_listener]]
        broker = "broker-a"
        bind = "0.0.0.0:10910"
        advertise = "mq.example.com:20910"
        vip = true
        "#,
    );
    let config = Config::load(&args).unwrap();
    let listener = &config.broker_listeners[0];
    assert_eq!(listener.broker, "broker-a");
    assert_eq!(listener.vip, Some("0.0.0.0:10908".parse().unwrap()));
    assert_eq!(config.settings.broker_addresses, AdvertiseBrokers::Always);
    assert!(config.settings.admin_relay);

    let given = ["broker-a=0.0.0.0:10910", "broker-b=0.0.0.0:10920"];
    args.broker_listen = given.map(str::to_owned).into();
    args.broker_addresses = Some("never".to_owned());
    args.admin_relay = Some("false".to_owned());
    let config = Config::load(&args).unwrap();
    assert_eq!(config.broker_listeners[1].bind.port(), 10920);
    assert_eq!(config.settings.broker_addresses, AdvertiseBrokers::Never);
    assert!(!config.settings.admin_relay);
}

#[test]
fn a_vip_channel_may_not_end_at_another_listener() {
    let listener = |broker: &str, port: u16| {
        format!("[[broker_listener]]\nbroker = \"{broker}\"\nbind = \"0.0.0.0:{port}\"\n")
    };
    let with = |listeners: &[String]| format!("name_servers = [\"a:1\"]\n{}", listeners.concat());
    for listeners in [
        [listener("a", 10910), listener("b", 10912)],
        [listener("a", 8082), listener("b", 10912)],
    ] {
        let refusal = refusal(&with(&listeners));
        assert!(refusal.starts_with("broker_listener.bind: "), "{refusal}");
        assert!(refusal.contains("port minus two"), "{refusal}");
    }
    // What counts is what clients are told.
    let apart = [
        listener("a", 10910) + "advertise = \"mq:10910\"\n",
        listener("b", 10912) + "advertise = \"mq:10920\"\n",
    ];
    let (args, _file) = with_file(&with(&apart));
    assert!(Config::load(&args).is_ok());
    let twice = refusal(&with(&[listener("a", 1), listener("a", 5)]));
    assert!(
        twice.starts_with("broker_listener.broker: \"a\""),
        "{twice}"
    );
    for (text, key) in [
        (
            "name_servers = [\"a:1\"]\nmixed_groups = \"allow\"",
            "mixed_groups: \"allow\"",
        ),
        (
            "name_servers = [\"a:1\"]\n[http]\ncors = [\"https://a.example/\"]",
            "http.cors: \"https://a.example/\"",
        ),
        (
            "name_servers = [\"a:1\"]\nbroker_addresses = \"some\"",
            "broker_addresses: \"some\"",
        ),
        (
            &with(&[listener("", 1)]),
            "broker_listener.broker is not set",
        ),
    ] {
        let refusal = refusal(text);
        assert!(refusal.starts_with(key), "{refusal}");
    }
}

#[test]
fn a_key_comes_from_a_file_or_from_variables_and_is_never_shown() {
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"of the file\n").unwrap();
    let path = secret.path().display();
    let (args, _file) = with_file(&format!(
        "name_servers = [\"a:1\"]\n[credentials]\naccess_key = \"filed\"\nsecret_key_file = \"{path}\"\n"
    ));
    let variables = |name: &str| match name {
        "REMORA_ACCESS_KEY" => Some("varied".to_owned()),
        "REMORA_SECRET_KEY" => Some("of the variable".to_owned()),
        _ => None,
    };
    for (args, access_key) in [
        (args.clone().with_keys(|_| Some(String::new())), "filed"),
        (args.with_keys(variables), "varied"),
    ] {
        let config = Config::load(&args).unwrap();
        let effective = format!("access_key = \"{access_key}\"");
        assert!(
            config.effective.contains(&effective),
            "{}",
            config.effective
        );
        let shown = format!("{args:?} {config:?} {}", config.effective);
        assert!(shown.contains(access_key), "{shown}");
        for secret in ["of the file", "of the variable"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let signed = config
            .upstream
            .signed(RemotingCommand::request(RequestCode::HEART_BEAT));
        assert_eq!(signed.field("AccessKey"), Some(access_key));
    }
}

#[test]
fn half_a_key_is_none() {
    let with = |text: &str| format!("name_servers = [\"a:1\"]\n[credentials]\n{text}\n");
    let lone = refusal(&with("access_key = \"remora\""));
    assert!(
        lone.starts_with("credentials.secret_key_file is not set"),
        "{lone}"
    );
    let absent = refusal(&with(
        "access_key = \"remora\"\nsecret_key_file = \"/absent\"",
    ));
    assert!(
        absent.starts_with("credentials.secret_key_file: \"/absent\""),
        "{absent}"
    );
    let args = args("a:1").with_keys(|name| (name == "REMORA_SECRET_KEY").then(|| "s".to_owned()));
    let lone = Config::load(&args).unwrap_err().to_string();
    assert!(
        lone.starts_with("credentials.access_key is not set"),
        "{lone}"
    );
    // Whoever puts the key itself into the file is not shown it.
    let misplaced = refusal(&with("secret_key = \"hush\""));
    assert!(
        misplaced.contains("line 3") && !misplaced.contains("hush"),
        "{misplaced}"
    );
}

#[test]
fn a_shared_listener_may_have_a_vip_channel() {
    let with = |text: &str| format!("name_servers = [\"a:1\"]\n{text}");
    let listener =
        |port: u16, more: &str| format!("[[listener]]\nbind = \"0.0.0.0:{port}\"\n{more}\n");
    let vip = listener(8080, "vip = true");
    let (args, _file) = with_file(&with(&vip));
    let config = Config::load(&args).unwrap();
    assert_eq!(config.listeners[0].vip, "0.0.0.0:8078".parse().ok());
    let broker = "[[broker_listener]]\nbroker = \"a\"\nbind = \"0.0.0.0:8078\"\n";
    for text in [
        vip.clone() + &listener(8078, ""),
        vip.clone() + broker,
        listener(2, "vip = true"),
        listener(0, "vip = true"),
    ] {
        let refusal = refusal(&with(&text));
        assert!(refusal.starts_with("listener.bind: "), "{refusal}");
    }
    let apart = listener(8080, "vip = true\nadvertise = \"mq:80\"") + &listener(8076, "");
    let (args, _file) = with_file(&with(&apart));
    assert!(Config::load(&args).is_ok());
}

#[test]
fn two_listeners_at_one_address_are_refused_with_both_keys() {
    let listener = |bind: &str| format!("[[listener]]\nbind = \"{bind}\"\n");
    let own = |bind: &str| format!("[[broker_listener]]\nbroker = \"b\"\nbind = \"{bind}\"\n");
    let vip = listener("0.0.0.0:8080") + "vip = true\n";
    for (text, key, other) in [
        (
            listener("0.0.0.0:8080") + &listener("0.0.0.0:8080"),
            "listener.bind: \"0.0.0.0:8080\"",
            "listener.bind listens at 0.0.0.0:8080",
        ),
        (
            listener("0.0.0.0:8080") + &listener("127.0.0.1:8080"),
            "listener.bind: \"127.0.0.1:8080\"",
            "listener.bind listens at 0.0.0.0:8080",
        ),
        (
            listener("[::]:8080") + &own("127.0.0.1:8080"),
            "broker_listener.bind: \"127.0.0.1:8080\"",
            "listener.bind listens at [::]:8080",
        ),
        (
            "admin = \"127.0.0.1:8078\"\n".to_owned() + &vip,
            "admin: \"127.0.0.1:8078\"",
            "listener.vip listens at 0.0.0.0:8078",
        ),
    ] {
        let refusal = refusal(&format!("name_servers = [\"a:1\"]\n{text}"));
        assert!(
            refusal.starts_with(key) && refusal.ends_with(other),
            "{refusal}"
        );
    }
    // As the start has it without a file, with the default listener.
    let args = Args {
        admin: Some("127.0.0.1:8080".to_owned()),
        ..args("a:1")
    };
    assert!(Config::load(&args).is_err());
    let free = listener("127.0.0.1:0") + &listener("127.0.0.1:0") + &listener("127.0.0.1:8080");
    let (args, _file) = with_file(&format!(
        "name_servers = [\"a:1\"]\nadmin = \"[::1]:8080\"\n{free}"
    ));
    assert!(Config::load(&args).is_ok());
}

#[test]
fn a_refusal_of_an_address_says_what_to_write() {
    let with = |text: &str| refusal(&format!("name_servers = [\"a:1\"]\n{text}"));
    let name = with("[[listener]]\nbind = \"localhost:9876\"\n");
    assert!(
        name.starts_with("listener.bind: \"localhost:9876\""),
        "{name}"
    );
    assert!(name.ends_with("write the IP address of the host"), "{name}");
    for advertise in ["0.0.0.0:8080", "[::]:8080"] {
        let refusal = with(&format!("[[listener]]\nadvertise = \"{advertise}\"\n"));
        assert!(refusal.starts_with("listener.advertise: "), "{refusal}");
        assert!(
            refusal.ends_with("that clients can connect to"),
            "{refusal}"
        );
    }
    let one = with("[listener]\nbind = \"0.0.0.0:8080\"\n");
    assert!(one.ends_with("write it in [[two brackets]]"), "{one}");
}

#[test]
fn limits_of_memory_and_headers_have_bounds() {
    let with = |text: &str| format!("name_servers = [\"a:1\"]\n[limits]\n{text}\n");
    let load = |text: &str| {
        let (args, _file) = with_file(&with(text));
        Config::load(&args).unwrap()
    };
    let settings = load("").settings;
    let defaults = (256 << 20, 64 << 10, 4 << 20);
    let limits = |s: &Settings| (s.memory_limit, s.header_limit, s.heartbeat_limit);
    assert_eq!(limits(&settings), defaults);
    assert_eq!(limits(&Settings::default()), defaults);
    let own = load("memory_bytes = 134217728\nheader_bytes = 4096\nheartbeat_bytes = 1048576");
    assert_eq!(limits(&own.settings), (128 << 20, 4096, 1 << 20));
    assert_eq!(own.upstream.header_limit, 4096);
    // The default is no more than a frame may have.
    let small = load("frame_bytes = 1048576");
    assert_eq!(small.settings.heartbeat_limit, 1 << 20);
    for (text, key) in [
        ("header_bytes = 4095", "limits.header_bytes: \"4095\""),
        ("header_bytes = 262145", "limits.header_bytes: \"262145\""),
        ("memory_bytes = 1000", "limits.memory_bytes: \"1000\""),
        (
            "frame_bytes = 1048576\nheartbeat_bytes = 1048577",
            "limits.heartbeat_bytes: \"1048577\"",
        ),
    ] {
        let refusal = refusal(&with(text));
        assert!(refusal.starts_with(key), "{refusal}");
    }
}
