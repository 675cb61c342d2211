//! The bits of `sysFlag`.

/// Flags of a message that brokers use (`MessageSysFlag`): part of a send's header and of the
/// stored form.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SysFlag(pub i32);

/// How a body is compressed (`CompressionType`). Clients up to 4.9.3 read every compressed body as
/// zlib.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Compression {
    /// LZ4's frame format: 1.
    Lz4,
    /// A Zstandard frame: 2.
    Zstd,
    /// zlib (RFC 1950): 3, and 0 from clients up to 4.9.3.
    Zlib,
}

/// The role of a message in a transaction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TransactionType {
    /// None: an ordinary message.
    None,
    /// A half message, which consumers do not see.
    Prepared,
    /// A message whose transaction was committed.
    Commit,
    /// A message whose transaction was rolled back.
    Rollback,
}

impl SysFlag {
    /// The body is compressed, in the way that [`Self::compression`] returns.
    pub const COMPRESSED: Self = Self(1);
    /// The message has several tags.
    pub const MULTI_TAGS: Self = Self(1 << 1);
    /// The producer's host is an IPv6 address.
    pub const BORN_HOST_V6: Self = Self(1 << 4);
    /// The broker's host is an IPv6 address.
    pub const STORE_HOST_V6: Self = Self(1 << 5);
    /// A consumer splits the body into messages before it delivers them.
    pub const NEED_UNWRAP: Self = Self(1 << 6);
    /// The body is a batch that the broker stores as one message.
    pub const INNER_BATCH: Self = Self(1 << 7);

    const TRANSACTION: i32 = 3 << 2;
    const COMPRESSION_SHIFT: i32 = 8;
    const COMPRESSION: i32 = 7 << Self::COMPRESSION_SHIFT;

    /// Whether all of these bits are set.
    #[must_use]
    pub fn has(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }

    /// The same flags with these bits set.
    #[must_use]
    pub fn with(self, bits: Self) -> Self {
        Self(self.0 | bits.0)
    }

    /// The same flags with these bits cleared.
    #[must_use]
    pub fn without(self, bits: Self) -> Self {
        Self(self.0 & !bits.0)
    }

    /// How the body is compressed, if it is: `Ok(None)` when it is not.
    ///
    /// # Errors
    /// With the type's number when this crate does not know the compression: 4 to 7.
    pub fn compression(self) -> Result<Option<Compression>, u8> {
        if !self.has(Self::COMPRESSED) {
            return Ok(None);
        }
        match (self.0 & Self::COMPRESSION) >> Self::COMPRESSION_SHIFT {
            1 => Ok(Some(Compression::Lz4)),
            2 => Ok(Some(Compression::Zstd)),
            0 | 3 => Ok(Some(Compression::Zlib)),
            other => Err(other as u8),
        }
    }

    /// With the bits of a body that is compressed in that way, or not at all.
    #[must_use]
    pub fn with_compression(self, compression: Option<Compression>) -> Self {
        let plain = self.0 & !(Self::COMPRESSION | Self::COMPRESSED.0);
        let kind = match compression {
            None => return Self(plain),
            Some(Compression::Lz4) => 1,
            Some(Compression::Zstd) => 2,
            Some(Compression::Zlib) => 3,
        };
        Self(plain | Self::COMPRESSED.0 | kind << Self::COMPRESSION_SHIFT)
    }

    /// The role of the message in a transaction.
    #[must_use]
    pub fn transaction(self) -> TransactionType {
        match self.0 & Self::TRANSACTION {
            0x4 => TransactionType::Prepared,
            0x8 => TransactionType::Commit,
            0xC => TransactionType::Rollback,
            _ => TransactionType::None,
        }
    }

    /// With the bits of a message that has that role in a transaction.
    #[must_use]
    pub fn with_transaction(self, transaction: TransactionType) -> Self {
        Self(self.0 & !Self::TRANSACTION | transaction.bits())
    }

    /// Whether the body is a batch of [`BatchMessage`](super::BatchMessage)s that the consumer
    /// splits (`PullAPIWrapper.processPullResult`).
    #[must_use]
    pub fn is_inner_batch(self) -> bool {
        self.has(Self::INNER_BATCH.with(Self::NEED_UNWRAP))
    }
}

impl TransactionType {
    /// Its number, which is also `commitOrRollback` of END_TRANSACTION: there, 0 is an unknown
    /// outcome.
    #[must_use]
    pub fn bits(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Prepared => 0x4,
            Self::Commit => 0x8,
            Self::Rollback => 0xC,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_read_from_its_type() {
        for (flag, compression) in [
            (0x000, Ok(None)),
            (0x300, Ok(None)),
            (0x001, Ok(Some(Compression::Zlib))),
            (0x101, Ok(Some(Compression::Lz4))),
            (0x201, Ok(Some(Compression::Zstd))),
            (0x301, Ok(Some(Compression::Zlib))),
            (0x401, Err(4)),
            (-1, Err(7)),
        ] {
            assert_eq!(SysFlag(flag).compression(), compression, "{flag:#x}");
        }
    }

    #[test]
    fn setting_a_flag_changes_no_other_bit() {
        let other = SysFlag(!0x70D);
        for compression in [Compression::Lz4, Compression::Zstd, Compression::Zlib] {
            let flag = other.with_compression(Some(compression));
            assert_eq!(flag.compression(), Ok(Some(compression)));
            assert_eq!(flag.with_compression(None), other);
        }
        for transaction in [
            TransactionType::None,
            TransactionType::Prepared,
            TransactionType::Commit,
            TransactionType::Rollback,
        ] {
            let flag = other.with_transaction(transaction);
            assert_eq!(flag.transaction(), transaction);
            assert_eq!(flag.with_transaction(TransactionType::None), other);
        }
        assert!(SysFlag(0xC0).is_inner_batch());
        assert!(!SysFlag(0x80).is_inner_batch() && !SysFlag(0x40).is_inner_batch());
        let v6 = SysFlag::BORN_HOST_V6.with(SysFlag::STORE_HOST_V6);
        assert_eq!(v6, SysFlag(0x30));
        assert_eq!(v6.without(SysFlag::BORN_HOST_V6), SysFlag::STORE_HOST_V6);
    }
}
