//! The administrator: a client that is always connected to the cluster itself.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use parking_lot::Mutex;

use super::Key;
use crate::{java::Java, java_client::JavaClient, target::Target, wait::wait_until};

/// A broker registers a new topic at the name server immediately.
const TOPIC_LIMIT: Duration = Duration::from_secs(20);

/// Makes topics and looks at routes, for all tests.
#[derive(Debug)]
pub struct Admin {
    client: Mutex<JavaClient>,
}

impl Admin {
    pub(super) fn start(
        java: &Java,
        home: &Path,
        target: &Target,
        root: Option<Key>,
    ) -> Result<Self> {
        fs::create_dir_all(home)?;
        let mut command = java.client(home);
        command
            .arg("-Xmx128m")
            .args(["remora.client.Main", "admin"])
            .arg(format!("name-server={}", target.name_server))
            .args(root.into_iter().flat_map(|key| key.options()));
        let mut client =
            JavaClient::spawn("admin", &mut command, &home.join("output.log"), target)?;
        client.wait_ready()?;
        Ok(Self {
            client: Mutex::new(client),
        })
    }

    pub(super) fn create_topic(
        &self,
        topic: &str,
        queues_per_broker: usize,
        queues: usize,
    ) -> Result<()> {
        let queues_per_broker = queues_per_broker.to_string();
        self.client.lock().run(
            "create-topic",
            &[("topic", topic), ("queues", &queues_per_broker)],
        )?;
        self.wait_route(topic, queues)
    }

    /// Waits until the name server knows this number of the topic's queues.
    pub(super) fn wait_route(&self, topic: &str, queues: usize) -> Result<()> {
        wait_until(&format!("the route of {topic}"), TOPIC_LIMIT, || {
            Ok((self.queues(topic)?.len() == queues).then_some(()))
        })
    }

    pub(super) fn queues(&self, topic: &str) -> Result<Vec<String>> {
        let queues = self.client.lock().run("queues", &[("topic", topic)])?;
        Ok(serde_json::from_value(queues)?)
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        self.client.get_mut().stop()
    }
}
