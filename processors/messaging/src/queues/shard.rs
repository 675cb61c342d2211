//! Which queue the messages of a message group are in.

use remoting_codec::java_hash;

/// The bucket of `buckets` that a number belongs to: `Hashing.consistentHash` of Guava. When a
/// bucket is added, as few numbers as possible change theirs. 0 when there is one bucket or none.
#[must_use]
pub fn consistent_bucket(input: i64, buckets: usize) -> usize {
    /// Guava's linear congruential generator: the next number in (0, 1].
    fn next(state: &mut i64) -> f64 {
        *state = state
            .wrapping_mul(2_862_933_555_777_941_757)
            .wrapping_add(1);
        let high = (*state as u64 >> 33) as i32;
        f64::from(high.wrapping_add(1)) / f64::from(1_u32 << 31)
    }
    let mut state = input;
    let mut candidate = 0_i64;
    let buckets = i64::try_from(buckets).unwrap_or(i64::MAX);
    loop {
        // As in Java, what is out of range for 32 bits becomes their largest number.
        let jump = (candidate + 1) as f64 / next(&mut state);
        let jump = i64::from(jump as i32);
        if jump < 0 || jump >= buckets {
            return usize::try_from(candidate).unwrap_or_default();
        }
        candidate = jump;
    }
}

/// The place of a message group's queue among the topic's writable queues, ordered by the broker's
/// name and the queue's number (`SendMessageActivity.SendMessageQueueSelector`): the same as
/// through the Java proxy, so that groups stay in order during a migration.
#[must_use]
pub fn shard(message_group: &str, writable_queues: usize) -> usize {
    consistent_bucket(i64::from(java_hash(message_group)), writable_queues)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Guava 32.0.1 has answered.
    #[test]
    fn message_groups_stay_in_their_queue() {
        const QUEUES: [usize; 6] = [1, 2, 4, 8, 16, 1000];
        for (group, places) in [
            ("a", [0, 0, 0, 0, 0, 346]),
            ("order-1", [0, 0, 3, 3, 3, 489]),
            ("order-2", [0, 0, 2, 2, 11, 184]),
            ("order-3", [0, 1, 3, 7, 7, 666]),
            ("ключ", [0, 1, 2, 5, 5, 958]),
            ("polygenelubricants", [0, 1, 2, 2, 2, 185]),
            ("user-1234567890", [0, 0, 0, 0, 9, 894]),
        ] {
            assert_eq!(QUEUES.map(|queues| shard(group, queues)), places, "{group}");
        }
    }

    #[test]
    fn every_bucket_is_used_and_adding_one_moves_few() {
        for buckets in 1..=16 {
            let mut counts = vec![0_usize; buckets];
            let mut moved = 0;
            for input in 0..1_600 {
                let bucket = consistent_bucket(input, buckets);
                counts[bucket] += 1;
                let after = consistent_bucket(input, buckets + 1);
                assert!(after == bucket || after == buckets, "{input}");
                moved += usize::from(after != bucket);
            }
            let even = 1_600 / buckets;
            assert!(
                counts.iter().all(|count| count.abs_diff(even) < even / 2),
                "{counts:?}"
            );
            assert!(
                moved.abs_diff(1_600 / (buckets + 1)) < 100,
                "{buckets}: {moved}"
            );
        }
        assert_eq!(consistent_bucket(5, 0), 0);
        assert_eq!(shard("group", 1), 0);
    }
}
