//! The protocol of the existing SDKs: MQ HTTP, version 2015-06-06.
//!
//! Pure functions, which neither wait nor read a clock:
//!
//! - [`target`]: what a request asks for, from its method and its target.
//! - [`authorization`]: its header `Authorization`, and the text that a signature is made of.
//! - [`date`]: its header `Date`.
//! - [`digest`]: its header `Content-MD5`.
//! - [`document`]: its body, an XML document.
//! - [`properties`]: a message's properties, as text in that document.
//! - [`message`]: what of a message a broker stores, and what of it a consumer gets.
//! - [`handle`]: what consumers acknowledge messages with.
//! - [`answer`]: the answers, and [`error`]: the errors among them.
//!
//! The protocol's document is public; what it leaves open follows what the SDKs of Java 1.0.3.2,
//! Python 1.0.3, Node 1.0.4 and Go 1.0.3 send, and what the strictest of them accepts.

pub mod answer;
pub mod authorization;
pub mod date;
pub mod digest;
pub mod document;
pub mod error;
pub mod handle;
pub mod message;
pub mod properties;
pub mod target;
pub mod xml;

pub use error::{Code, SdkError};

/// The protocol's version, value of the header [`VERSION_HEADER`].
pub const VERSION: &str = "2015-06-06";
/// The header of requests and answers with the protocol's version.
pub const VERSION_HEADER: &str = "x-mq-version";
/// The header of answers with the id of the request, which all SDKs pass on to the application.
pub const REQUEST_ID_HEADER: &str = "x-mq-request-id";
/// The content type of bodies, in both directions. The SDK for Node reads no body of another type.
pub const CONTENT_TYPE: &str = "text/xml;charset=utf-8";
/// The namespace of the elements of answers. It has no slash at its end: with one, the SDK for Java
/// reads every error as `InternalServerError`.
pub const NAMESPACE: &str = "http://mq.aliyuncs.com/doc/v1";
