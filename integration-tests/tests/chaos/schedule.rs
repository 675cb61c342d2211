//! What is struck when: one thing at a time, in random order, and each of them in every round.

/// Something that fails, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blow {
    /// A replica is killed, and started again.
    KillReplica {
        /// Which.
        nth: usize,
        /// How long it is away.
        away_ms: u64,
    },
    /// A broker stands still, its connections open.
    FreezeBroker {
        /// Which.
        nth: usize,
        /// How long.
        for_ms: u64,
    },
    /// A broker is killed, and started again.
    KillBroker {
        /// Which.
        nth: usize,
        /// How long it is away.
        away_ms: u64,
    },
}

/// Blows without end.
#[derive(Debug)]
pub(crate) struct Schedule {
    state: u64,
    round: Vec<Blow>,
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            // Seeds that are close must not start alike, and zero would stay zero.
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            round: Vec::new(),
        }
    }

    /// A number below that bound (xorshift64*).
    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }

    fn new_round(&mut self) -> Vec<Blow> {
        let mut which = || self.below(2) as usize;
        let (replica, frozen, killed) = (which(), which(), which());
        let mut round = vec![
            Blow::KillReplica {
                nth: replica,
                away_ms: 500 + self.below(2500),
            },
            Blow::FreezeBroker {
                nth: frozen,
                for_ms: 1000 + self.below(5000),
            },
            Blow::KillBroker {
                nth: killed,
                away_ms: 500 + self.below(2500),
            },
            Blow::KillReplica {
                nth: 1 - replica,
                away_ms: 500 + self.below(2500),
            },
        ];
        for last in (1..round.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            round.swap(last, other);
        }
        round
    }
}

impl Iterator for Schedule {
    type Item = Blow;

    fn next(&mut self) -> Option<Blow> {
        if self.round.is_empty() {
            self.round = self.new_round();
        }
        self.round.pop()
    }
}
