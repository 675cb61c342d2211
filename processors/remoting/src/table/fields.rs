//! The ext fields that Remora reads of a request, by families of codes.
//!
//! A processor reads a [`Field`], not a name: a field has several names on the wire, and a code
//! without the field has no value for it.

use remoting_codec::FieldKind::Text;
use remoting_codec::FieldSpec;
use remoting_codec::headers::BROKER_NAME;

/// An ext field that Remora reads, independent of its name in a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// When the client sent a poll: milliseconds since 1970, by the client's clock.
    BornTime,
    /// The name of the broker that the request is for.
    Broker,
    /// The id of the client to unregister; without it, that of the connection's client.
    ClientId,
    /// The consumer group of a request that names a group of each kind.
    ConsumerGroup,
    /// The topic on whose brokers a new topic is created.
    DefaultTopic,
    /// A popped message's receipt.
    ExtraInfo,
    /// The group of the consumer or producer.
    Group,
    /// How long the broker may hold a POP, in milliseconds.
    PollTime,
    /// The producer group of a request that names a group of each kind.
    ProducerGroup,
    /// A message's properties.
    Properties,
    /// The queue's number at its broker.
    Queue,
    /// The queue offset from which messages are pulled.
    QueueOffset,
    /// How long the broker may hold a pull, in milliseconds.
    Suspend,
    /// Bits of a send (`MessageSysFlag`) or a pull (`PullSysFlag`).
    SysFlag,
    /// The topic that the request is about.
    Topic,
    /// Whether the client wants brokers of its zone only.
    ZoneMode,
    /// The client's zone.
    ZoneName,
}

/// The number of [`Field`]s, for a table indexed by them.
const FIELDS: usize = Field::ZoneName as usize + 1;

/// The index of a field that a code does not have.
const ABSENT: u8 = u8::MAX;

/// The index of each [`Field`] among the declarations of a family of codes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places([u8; FIELDS]);

impl Places {
    const fn of(fields: &[Field]) -> Self {
        let (mut places, mut rest, mut place) = ([ABSENT; FIELDS], fields, 0);
        while let [field, others @ ..] = rest {
            let (_, from) = places.split_at_mut(*field as usize);
            if let [at, ..] = from {
                *at = place;
            }
            (rest, place) = (others, place + 1);
        }
        Self(places)
    }

    /// The index of the field; past the end, if the family does not have it.
    #[inline]
    pub(super) fn of_field(&self, field: Field) -> usize {
        usize::from(self.0.get(field as usize).copied().unwrap_or(ABSENT))
    }
}

/// The ext fields of one family of codes.
pub(super) struct Columns {
    pub(super) specs: &'static [FieldSpec],
    pub(super) places: Places,
}

/// An optional field, validated by brokers. Remora reads its value if it understands it.
const fn text(name: &'static str) -> FieldSpec {
    FieldSpec::optional(name, Text)
}

/// A field without which Remora cannot serve the request.
const fn required(name: &'static str) -> FieldSpec {
    FieldSpec::required(name, Text)
}

macro_rules! columns {
    ($($field:ident: $spec:expr),* $(,)?) => {
        Columns { specs: &[$($spec),*], places: Places::of(&[$(Field::$field),*]) }
    };
}

pub(super) const NONE: Columns = columns!();

pub(super) const TOPIC: Columns = columns!(Broker: text(BROKER_NAME), Topic: text("topic"));

pub(super) const CREATE: Columns =
    columns!(Broker: text(BROKER_NAME), Topic: text("topic"), DefaultTopic: text("defaultTopic"));

pub(super) const QUEUE: Columns =
    columns!(Broker: text(BROKER_NAME), Topic: text("topic"), Queue: text("queueId"));

pub(super) const BACK: Columns = columns!(Broker: text(BROKER_NAME), Topic: text("originTopic"));

/// The group decides which broker serves the request.
pub(super) const GROUP: Columns = columns!(Group: required("consumerGroup"));

pub(super) const SEND: Columns = columns!(
    Broker: text(BROKER_NAME), Topic: text("topic"), Group: text("producerGroup"), Queue: text("queueId"),
    SysFlag: text("sysFlag"), Properties: text("properties"),
);

/// The same fields in the short names of `SendMessageRequestHeaderV2`.
pub(super) const SEND_V2: Columns = columns!(
    Broker: text("n"), Topic: text("b"), Group: text("a"), Queue: text("e"), SysFlag: text("f"), Properties: text("i"),
);

pub(super) const PULL: Columns = columns!(
    Broker: text(BROKER_NAME), Topic: text("topic"), Group: text("consumerGroup"), Queue: text("queueId"),
    SysFlag: text("sysFlag"), Suspend: text("suspendTimeoutMillis"), QueueOffset: text("queueOffset"),
);

pub(super) const POP: Columns = columns!(
    Broker: text(BROKER_NAME), Topic: text("topic"), Group: text("consumerGroup"),
    PollTime: text("pollTime"), BornTime: text("bornTime"),
);

pub(super) const RECEIPT: Columns = columns!(
    Broker: text(BROKER_NAME), Topic: text("topic"), Group: text("consumerGroup"), ExtraInfo: text("extraInfo"),
);

pub(super) const UNREGISTER: Columns = columns!(
    ClientId: text("clientID"), ProducerGroup: text("producerGroup"), ConsumerGroup: text("consumerGroup"),
);

pub(super) const ROUTE: Columns = columns!(
    Topic: required("topic"), ZoneMode: text("__ZONE_MODE"), ZoneName: text("__ZONE_NAME"),
);
