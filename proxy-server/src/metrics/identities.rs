//! Clients' languages and versions as label values.

use std::cmp::Reverse;
use std::collections::HashMap;

use messaging::metrics::OTHER;
use remoting::ClientSummary;
use remoting_codec::{Language, Version};

/// Most pairs of language and version that have label values of their own. A client may declare any
/// of 5,600.
const IDENTITIES_MAX: usize = 32;

/// Languages and versions as label values: the pairs that most clients have, and "other" for the
/// rest.
pub(super) struct Identities(HashMap<(Language, Version), (String, String)>);

impl Identities {
    pub(super) fn of(clients: &[(usize, ClientSummary)]) -> Self {
        let mut counts = HashMap::<_, usize>::new();
        for identity in clients.iter().filter_map(|(_, client)| client.identity) {
            *counts.entry(identity).or_default() += 1;
        }
        let mut all: Vec<_> = counts.into_iter().collect();
        // Among equals, the older version, so that a scrape has what the last one had.
        all.sort_unstable_by_key(|((language, version), count)| {
            (Reverse(*count), version.0, language.0)
        });
        all.truncate(IDENTITIES_MAX);
        let named = all.into_iter().map(|((language, version), _)| {
            let labels = (language.name().to_lowercase(), version.name());
            ((language, version), labels)
        });
        Self(named.collect())
    }

    pub(super) fn labels(&self, identity: (Language, Version)) -> (&str, &str) {
        self.0
            .get(&identity)
            .map_or((OTHER, OTHER), |(language, version)| (language, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(language: u8, version: i32) -> (usize, ClientSummary) {
        let summary = ClientSummary {
            protocol: "remoting",
            is_connection: true,
            identity: Some((Language(language), Version(version))),
            is_producer: false,
            groups: Vec::new(),
        };
        (0, summary)
    }

    #[test]
    fn clients_cannot_make_up_label_values() {
        let made_up = (0..14).flat_map(|language| (213..613).map(move |v| client(language, v)));
        let clients: Vec<_> = made_up
            .chain((0..3).map(|_| client(0, Version::V5_5_0.0)))
            .collect();
        let identities = Identities::of(&clients);
        let labels: std::collections::BTreeSet<_> = clients
            .iter()
            .filter_map(|(_, client)| Some(identities.labels(client.identity?)))
            .collect();
        assert_eq!(labels.len(), IDENTITIES_MAX + 1);
        // The largest group of clients keeps its own label values.
        let java = identities.labels((Language::JAVA, Version::V5_5_0));
        assert_eq!(java, ("java", "v5_5_0"));
        assert!(labels.contains(&(OTHER, OTHER)));
    }
}
