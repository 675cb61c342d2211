//! The language and version that a sender declares in its frames.

/// A sender's `MQVersion` ordinal. The order of the numbers is the order of the releases.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version(pub i32);

impl Version {
    /// 4.9.5: the first of its line to name the broker with every request that needs it.
    pub const V4_9_5: Self = Self(403);
    /// 5.0.0. All releases of the line 4.9 have smaller ordinals.
    pub const V5_0_0: Self = Self(413);
    /// 5.1.0: the first of its line to name the broker with every request that needs it.
    pub const V5_1_0: Self = Self(433);
    /// 5.5.0: the version that Remora declares in frames of its own.
    pub const V5_5_0: Self = Self(513);
}

impl Version {
    /// Its name in RocketMQ's metrics (`MQVersion.getVersionDesc` in lower case): `v5_5_0`; `other`
    /// for ordinals that do not follow the rule of the releases since 4.0.0.
    #[must_use]
    pub fn name(self) -> String {
        /// 4.0.0.
        const FIRST: i32 = 213;
        /// 5.9.9.
        const LAST: i32 = 611;
        // A snapshot's ordinal is one less than its release's.
        let release = self.0 | 1;
        if !(FIRST..=LAST).contains(&release) {
            return "other".to_owned();
        }
        let nth = (release - FIRST) / 2;
        let snapshot = if release == self.0 { "" } else { "_snapshot" };
        let (major, minor, patch) = (4 + nth / 100, nth / 10 % 10, nth % 10);
        format!("v{major}_{minor}_{patch}{snapshot}")
    }

    /// The release of that number, as `5.2.0`; what follows the number is not looked at. `None` if
    /// there is no ordinal for it.
    #[must_use]
    pub fn of_release(number: &str) -> Option<Self> {
        let mut parts = number.split(|c: char| !c.is_ascii_digit());
        let mut digit = || {
            parts
                .next()?
                .parse()
                .ok()
                .filter(|part| (0..=9).contains(part))
        };
        let (major, minor, patch): (i32, i32, i32) = (digit()?, digit()?, digit()?);
        (4..=5).contains(&major).then(|| {
            let nth = (major - 4) * 100 + minor * 10 + patch;
            Self(213 + 2 * nth)
        })
    }
}

/// A sender's language: `LanguageCode` in Java. A newtype, so that unknown codes are kept.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Language(pub u8);

impl Language {
    /// Java, which also stands for an absent language.
    pub const JAVA: Self = Self(0);
    /// C++, and Python over it.
    pub const CPP: Self = Self(1);
    /// Go (`rocketmq-client-go`).
    pub const GO: Self = Self(9);
    /// A language without a code, or with one that this crate does not know.
    pub const OTHER: Self = Self(7);
    /// Of no language: the client speaks HTTP.
    pub const HTTP: Self = Self(8);

    /// Names in a JSON header (`LanguageCode`); the code is the index.
    pub(crate) const NAMES: [&'static str; 14] = [
        "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO",
        "PHP", "OMS", "RUST", "NODE_JS",
    ];

    /// The name that a JSON header carries; `OTHER` for an unknown code.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .get(usize::from(self.0))
            .copied()
            .unwrap_or("OTHER")
    }

    /// The language of that name; [`Language::OTHER`] for an unknown name.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::known(name.as_bytes()).unwrap_or(Self::OTHER)
    }

    /// The language of that name, if it has a code.
    pub(crate) fn known(name: &[u8]) -> Option<Self> {
        let mut names = Self::NAMES.iter();
        let at = names.position(|known| known.as_bytes() == name)?;
        Some(Self(at as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_agree() {
        assert_eq!(Language::GO.name(), "GO");
        assert_eq!(Language::from_name("NODE_JS"), Language(13));
        assert_eq!(Language::from_name("KLINGON"), Language::OTHER);
        assert_eq!(Language(200).name(), "OTHER");
    }

    #[test]
    fn versions_have_names() {
        assert_eq!(Version::V5_5_0.name(), "v5_5_0");
        assert_eq!(Version::V4_9_5.name(), "v4_9_5");
        assert_eq!(Version::of_release("5.5.0"), Some(Version::V5_5_0));
        assert_eq!(Version::of_release("5.0.1-rc1"), Some(Version(415)));
        for other in ["", "5", "5.1", "5.10.1", "6.0.0", "v5.1.0", "5.-1.0"] {
            assert_eq!(Version::of_release(other), None);
        }
        assert_eq!(Version(512).name(), "v5_5_0_snapshot");
        assert_eq!(Version(0).name(), "other");
        assert_eq!(Version(i32::MAX).name(), "other");
    }

    #[test]
    fn version_ordinals_follow_their_rule() {
        // MQVersion: a patch is +2, a 5.x minor is +20.
        assert_eq!(Version::V5_5_0.0, Version::V5_0_0.0 + 5 * 20);
    }
}
