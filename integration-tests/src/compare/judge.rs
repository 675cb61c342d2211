//! The verdict on a feature, from what came out on each way.

use anyhow::{Context, Error, Result, bail, ensure};

use super::{Feature, Flaw};
use crate::ways::Way;

/// The facts of a feature on one way.
pub(super) type Outcome = Result<Vec<String>>;

/// The cells of each way in the table, the direct one first.
pub(super) fn cells(feature: Feature, outcomes: &[Outcome]) -> Vec<String> {
    let direct = outcomes.first();
    let cells = outcomes.iter().enumerate().map(|(number, outcome)| {
        let note = if feature.past_proxies && number > 0 {
            ", brokers out of reach"
        } else {
            ""
        };
        let cell = match (direct, outcome) {
            (Some(Ok(direct)), Ok(facts)) if facts != direct => "DIFFERS".to_owned(),
            _ => cell(outcome, feature.flaw),
        };
        cell + note
    });
    cells.collect()
}

fn cell(outcome: &Outcome, flaw: Option<Flaw>) -> String {
    match (outcome, flaw) {
        (Ok(_), _) => "works".to_owned(),
        (Err(e), Some(flaw)) if format!("{e:#}").contains(flaw.error) => {
            format!("fails: {}", flaw.why)
        }
        (Err(_), _) => "FAILS".to_owned(),
    }
}

/// Compares the facts of each way with those of the direct one, which comes first.
pub(super) fn judge(feature: Feature, ways: &[Way], outcomes: Vec<Outcome>) -> Result<()> {
    let mut outcomes = outcomes.into_iter();
    let direct = outcomes.next().context("there is a direct way")?;
    let direct = match (direct, feature.flaw) {
        // Through Remora it may fail as well, or even work.
        (Err(e), Some(flaw)) if !flaw.works_directly => return as_known(&e, flaw),
        (Ok(_), Some(flaw)) if !flaw.works_directly => {
            bail!("works directly, though this was known: {}", flaw.why)
        }
        (Ok(facts), _) => facts,
        (Err(e), _) => {
            let others: Vec<String> = outcomes.map(|outcome| describe(&outcome)).collect();
            return Err(e.context(format!("directly; otherwise: {others:?}")));
        }
    };
    ensure!(
        !direct.is_empty(),
        "the feature has returned nothing to compare"
    );
    for (way, outcome) in ways.iter().skip(1).zip(outcomes) {
        judge_proxied(feature, &direct, outcome).with_context(|| way.title)?;
    }
    Ok(())
}

fn judge_proxied(feature: Feature, direct: &[String], proxied: Outcome) -> Result<()> {
    let proxied = match (proxied, feature.flaw) {
        (Err(e), Some(flaw)) => return as_known(&e, flaw),
        (Ok(_), Some(flaw)) => bail!("works, though this was known: {}", flaw.why),
        (proxied, None) => proxied.context("fails, and directly it does not")?,
    };
    ensure!(
        direct == proxied,
        "the results differ.\nonly directly: {:#?}\nonly through Remora: {:#?}",
        only(direct, &proxied),
        only(&proxied, direct)
    );
    Ok(())
}

fn as_known(e: &Error, flaw: Flaw) -> Result<()> {
    let text = format!("{e:#}");
    ensure!(text.contains(flaw.error), "not the known failure: {text}");
    Ok(())
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Ok(_) => "works".to_owned(),
        Err(e) => format!("{e:#}"),
    }
}

/// The facts that these have and those lack, as often as they do.
fn only(these: &[String], those: &[String]) -> Vec<String> {
    let mut rest = those.to_vec();
    let mut differ = these.to_vec();
    differ.retain(|fact| match rest.iter().position(|other| other == fact) {
        Some(at) => {
            rest.swap_remove(at);
            false
        }
        None => true,
    });
    differ
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::target::Target;

    fn facts(of: &[&str]) -> Outcome {
        Ok(of.iter().map(|fact| (*fact).to_owned()).collect())
    }

    fn verdict(feature: Feature, direct: Outcome, proxied: Outcome) -> Result<()> {
        let ways = ["direct", "remora"].map(|name| Way {
            name,
            title: name,
            target: Target::default(),
        });
        judge(feature, &ways, vec![direct, proxied])
    }

    #[test]
    fn what_differs_or_fails_through_remora_only_is_noticed() {
        let works = Feature::new("works", |_| Ok(()));
        assert!(verdict(works, facts(&["a", "b"]), facts(&["a", "b"])).is_ok());
        assert!(verdict(works, facts(&["a", "b"]), facts(&["a"])).is_err());
        assert!(verdict(works, facts(&["a"]), facts(&["a", "a"])).is_err());
        assert!(verdict(works, facts(&["a"]), Err(anyhow!("lost"))).is_err());
        assert!(verdict(works, Err(anyhow!("lost")), facts(&["a"])).is_err());
        assert!(verdict(works, facts(&[]), facts(&[])).is_err());
    }

    #[test]
    fn what_a_client_cannot_do_must_fail_as_known() {
        let broken = Feature::broken("broken", |_| Ok(()), "not possible", "so it is");
        let fails = || Err(anyhow!("that is not possible"));
        assert!(verdict(broken, fails(), fails()).is_ok());
        assert!(verdict(broken, fails(), facts(&["a"])).is_ok());
        assert!(verdict(broken, facts(&["a"]), fails()).is_err());
        assert!(verdict(broken, Err(anyhow!("other")), fails()).is_err());

        let needs = Feature::needs_brokers("needs", |_| Ok(()), "in vain", "so it is");
        let in_vain = || Err(anyhow!("waited in vain"));
        assert!(verdict(needs, facts(&["a"]), in_vain()).is_ok());
        assert!(verdict(needs, facts(&["a"]), fails()).is_err());
        assert!(verdict(needs, facts(&["a"]), facts(&["a"])).is_err());
        assert!(verdict(needs, in_vain(), in_vain()).is_err());
    }

    #[test]
    fn each_way_is_compared_with_the_direct_one() {
        let works = Feature::new("works", |_| Ok(()));
        let way = |name| Way {
            name,
            title: name,
            target: Target::default(),
        };
        let ways = ["direct", "remora", "replicas"].map(way);
        let third = |third| vec![facts(&["a"]), facts(&["a"]), third];
        assert!(judge(works, &ways, third(facts(&["a"]))).is_ok());
        assert!(judge(works, &ways, third(facts(&["b"]))).is_err());
        assert!(judge(works, &ways, third(Err(anyhow!("lost")))).is_err());
    }

    #[test]
    fn known_failures_are_explained_and_others_cry() {
        let known =
            Feature::broken("broken", |_| Ok(()), "not possible", "a flaw of the client").flaw;
        assert_eq!(cell(&Ok(Vec::new()), None), "works");
        assert_eq!(
            cell(&Err(anyhow!("not possible")), known),
            "fails: a flaw of the client"
        );
        assert_eq!(cell(&Err(anyhow!("lost")), known), "FAILS");
        let row = [facts(&["a"]), facts(&["a"]), facts(&["b"])];
        let works = Feature::new("works", |_| Ok(()));
        assert_eq!(cells(works, &row), ["works", "works", "DIFFERS"]);
        let past = Feature::needs_brokers("past", |_| Ok(()), "in vain", "so it is");
        let row = [facts(&["a"]), Err(anyhow!("in vain"))];
        assert_eq!(
            cells(past, &row),
            ["works", "fails: so it is, brokers out of reach"]
        );
    }
}
