//! Which ext fields are read of a request, by families of codes.
//!
//! A processor asks for a [`Field`] and not for a name: one field has several names on the wire, and a code that
//! lacks it has no value for it.

use remoting_codec::FieldKind::Text;
use remoting_codec::FieldSpec;
use remoting_codec::headers::BROKER_NAME;

/// An ext field that Remora reads, whatever it is called in the header of one code or another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// When the client made a poll: milliseconds since 1970, by its clock.
    BornTime,
    /// The name of the broker that the request is for.
    Broker,
    /// The client's id.
    ClientId,
    /// The consumer group of a request that names a group of each kind.
    ConsumerGroup,
    /// The topic whose brokers get a new topic.
    DefaultTopic,
    /// A popped message's receipt.
    ExtraInfo,
    /// The group of the consumer or producer.
    Group,
    /// For how many milliseconds the broker may hold a POP.
    PollTime,
    /// The producer group of a request that names a group of each kind.
    ProducerGroup,
    /// A message's properties.
    Properties,
    /// The queue's number at its broker.
    Queue,
    /// The place in the queue from which on messages are pulled.
    QueueOffset,
    /// For how many milliseconds the broker may hold a pull.
    Suspend,
    /// Bits of a send (`MessageSysFlag`) or a pull (`PullSysFlag`).
    SysFlag,
    /// The topic.
    Topic,
    /// Whether the client wants brokers of its zone only.
    ZoneMode,
    /// The client's zone.
    ZoneName,
}

/// How many fields there are.
const FIELDS: usize = Field::ZoneName as usize + 1;

/// What stands for the place of a field that a code does not have.
const ABSENT: u8 = u8::MAX;

/// By [`Field`], where it stands among the declarations of a family of codes.
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

    /// Where that field stands; behind all of them, if it is not among them.
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

/// A field that brokers judge, whether it is there and what it says. Remora reads what it understands of it.
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

/// The group is what a broker is chosen by.
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
