//! QueryRoute and QueryAssignment.

use crate::check;
use crate::client::Call;
use crate::convert::{BrokerAt, assignments, endpoints_of, message_queues};
use crate::error::CallError;
use crate::proto::{
    Code, Endpoints, QueryAssignmentRequest, QueryAssignmentResponse, QueryRouteRequest,
    QueryRouteResponse, Resource,
};

/// Where a topic is: all its queues, at the addresses that the client uses.
pub(crate) async fn query_route(
    call: &Call<'_>,
    request: QueryRouteRequest,
) -> Result<QueryRouteResponse, CallError> {
    let topic = call.names.topic(request.topic.as_ref())?;
    let endpoints = endpoints(call, request.endpoints)?;
    let route = call.caller().route(&topic).await?;
    let topic_type = call.configs().topic_type(call.caller(), &topic).await;
    let at = BrokerAt {
        topic: &request.topic.unwrap_or_default(),
        endpoints: &endpoints,
    };
    Ok(QueryRouteResponse {
        status: super::ok(),
        message_queues: message_queues(route.data(), topic_type, &at),
    })
}

/// What a push consumer receives from.
pub(crate) async fn query_assignment(
    call: &Call<'_>,
    request: QueryAssignmentRequest,
) -> Result<QueryAssignmentResponse, CallError> {
    let topic = call.names.topic(request.topic.as_ref())?;
    let group = call.names.group(request.group.as_ref())?;
    let endpoints = endpoints(call, request.endpoints)?;
    let route = call.caller().route(&topic).await?;
    let config = call
        .configs()
        .group_or_default(call.caller(), &group, &topic)
        .await?;
    // A lite topic is a queue of its own at each broker.
    let is_fifo = config.consume_message_orderly && config.lite_topic_parent().is_none();
    let resource: Resource = request.topic.unwrap_or_default();
    let at = BrokerAt {
        topic: &resource,
        endpoints: &endpoints,
    };
    Ok(QueryAssignmentResponse {
        status: super::ok(),
        assignments: assignments(route.data(), is_fifo, &at)?,
    })
}

/// The addresses that the client uses, or else those of its listener.
fn endpoints(call: &Call<'_>, asked: Option<Endpoints>) -> Result<Endpoints, CallError> {
    match asked {
        Some(asked) if !asked.addresses.is_empty() => {
            check::endpoints(Some(&asked))?;
            Ok(asked)
        }
        _ => {
            let own = &call.connection.endpoint.advertised;
            endpoints_of([&**own]).ok_or_else(|| {
                let text = format!("the listener's advertise is no endpoint: {own}");
                CallError::new(Code::IllegalAccessPoint, text)
            })
        }
    }
}
