//! Attackers that speak TLS. The healthy clients beside them use the same listener without it, for
//! what they are compared with has none either.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use integration_tests::{
    abuse::{Attack, Ground, Line, Outcome, World},
    tls::{Authority, connect},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Abuse, Test,
    codes::{route, send},
    memory::FRAME,
    test,
};

/// The name in the certificate.
const NAME: &str = "localhost";

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("tls_handshakes_that_stop_half_way", half_way),
        test("tls_handshakes_without_end", flood),
    ]
}

pub(crate) fn all() -> Vec<(String, Test)> {
    vec![
        test("tls_clients_that_never_read", never_read),
        test("tls_frames_that_lack_a_byte", partial),
        test("tls_keys_that_change_without_end", key_updates),
    ]
}

/// A proxy that takes TLS and plain text, and a client's side.
fn world(abuse: &Abuse, name: &str) -> Result<(World, TlsConnector)> {
    let dir = abuse.scratch.path().join(name);
    fs::create_dir_all(&dir)?;
    let authority = Authority::new()?;
    let (certificate, key) = authority.issue(NAME)?.write(&dir)?;
    let further = format!(
        "[tls]\nmode = \"permissive\"\n[[tls.certificate]]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    Ok((abuse.world(name, &further)?, authority.connector(None)?))
}

async fn open(ground: &Ground, connector: &TlsConnector) -> Result<TlsStream<TcpStream>> {
    connect(connector, ground.proxy, NAME, b"").await
}

/// The first record of a client: its ClientHello.
async fn hello(connector: &TlsConnector) -> Result<Vec<u8>> {
    let (near, mut far) = duplex(65536);
    let name = NAME.try_into()?;
    let mut bytes = vec![0; 65536];
    tokio::select! {
        _ = connector.connect(name, near) => anyhow::bail!("the listener has not answered"),
        read = far.read(&mut bytes) => bytes.truncate(read?),
    }
    Ok(bytes)
}

/// Half of them stop within their first message, the others after it.
fn half_way(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const CONNECTIONS: usize = 320;
    let what = "320 TLS handshakes that stop half-way";
    let attack = Attack::new(name, "26", what);
    let (world, connector) = world(abuse, name)?;
    world.judge(&attack, move |ground| async move {
        let whole = Arc::new(hello(&connector).await?);
        ground
            .many(CONNECTIONS, |mut line, nth| {
                let whole = Arc::clone(&whole);
                async move {
                    let length = whole.len() / (1 + nth % 2);
                    line.write(whole.get(..length).context("a part")?).await?;
                    line.idle(Duration::from_secs(60)).await;
                    Ok(())
                }
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

/// TLS 1.3 has no renegotiation: a client that wants to make a server work makes handshakes, of
/// connections that it ends immediately.
fn flood(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const CLIENTS: usize = 16;
    let what = "16 clients that make TLS handshakes, one after the other";
    let attack = Attack::new(name, "26", what);
    let (world, connector) = world(abuse, name)?;
    world.judge(&attack, move |ground| async move {
        let endless = (0..CLIENTS).map(|_| async {
            loop {
                // It may be refused.
                let opened = open(&ground, &connector).await;
                if opened.is_err() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
        futures(endless).await;
        Ok(())
    })
}

/// All of them at the same time, until the attack is over.
async fn futures(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        for one in &mut all {
            let _ = one.as_mut().poll(cx);
        }
        std::task::Poll::<()>::Pending
    })
    .await;
}

fn never_read(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let what = "320 TLS connections that ask for routes and never read";
    let attack = Attack::new(name, "5", what).lasting(Duration::from_secs(5));
    let (world, connector) = world(abuse, name)?;
    world.judge(&attack, move |ground| async move {
        ground
            .many_of(
                320,
                async || Ok(Line::of(open(&ground, &connector).await?)),
                |mut line, _| async move {
                    line.send_many(&route("known"), 20_000).await?;
                    line.idle(Duration::from_secs(60)).await;
                    Ok(())
                },
            )
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn partial(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let what = "100 frames of 16 MB over TLS that lack their last byte";
    let attack = Attack::new(name, "4", what).lasting(Duration::from_secs(5));
    let (world, connector) = world(abuse, name)?;
    world.judge(&attack, move |ground| async move {
        let mut frame = send("known", FRAME).to_frame(1);
        frame.pop();
        let frame = Arc::new(frame);
        ground
            .many_of(
                100,
                async || Ok(Line::of(open(&ground, &connector).await?)),
                |mut line, _| {
                    let frame = Arc::clone(&frame);
                    async move {
                        line.write(&frame).await?;
                        line.drain().await
                    }
                },
            )
            .await;
        ground.stay().await;
        Ok(())
    })
}

/// A side may want new keys as often as it likes (`KeyUpdate` of TLS 1.3).
fn key_updates(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const CLIENTS: usize = 16;
    let what = "16 TLS clients that change their keys all the time";
    let attack = Attack::new(name, "26", what);
    let (world, connector) = world(abuse, name)?;
    world.judge(&attack, move |ground| async move {
        let endless = (0..CLIENTS).map(|_| async {
            loop {
                let _ = change_keys(&ground, &connector).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        futures(endless).await;
        Ok(())
    })
}

/// Until the connection is closed.
async fn change_keys(ground: &Ground, connector: &TlsConnector) -> Result<()> {
    let mut stream = open(ground, connector).await?;
    let request = route("known").to_frame(1);
    let mut answers = vec![0; 65536];
    loop {
        // Some in a row are taken for an attack.
        for _ in 0..8 {
            stream.get_mut().1.refresh_traffic_keys()?;
        }
        stream.write_all(&request).await?;
        stream.flush().await?;
        anyhow::ensure!(stream.read(&mut answers).await? > 0, "closed");
    }
}
