//! Administrative codes: relayed, if `admin_relay` is enabled, to the broker of the listener that
//! they arrived at, or to a name server.

use std::rc::Rc;

use remoting_codec::body::ClusterInfo;
use remoting_codec::{CommandView, RemotingCommand, RequestCode, ResponseCode, UpstreamView};

use crate::error::ProcessError;
use crate::relay;
use crate::session::Session;
use crate::session::request::{Asked, Incoming};

/// Codes that write to a name server. A tool sends them to each name server that it knows; here it
/// knows only Remora's address.
const CHANGES_NAME_SERVERS: &[RequestCode] = &[
    RequestCode::PUT_KV_CONFIG,
    RequestCode::DELETE_KV_CONFIG,
    RequestCode::WIPE_WRITE_PERM_OF_BROKER,
    RequestCode::DELETE_TOPIC_IN_NAMESRV,
    RequestCode::REGISTER_TOPIC_IN_NAMESRV,
    RequestCode::UPDATE_NAMESRV_CONFIG,
    RequestCode::ADD_WRITE_PERM_OF_BROKER,
];

/// Codes that change topics or brokers, and with them routes.
const CHANGES_ROUTES: &[RequestCode] = &[
    RequestCode::UPDATE_AND_CREATE_TOPIC_LIST,
    RequestCode::UPDATE_BROKER_CONFIG,
    RequestCode::WIPE_WRITE_PERM_OF_BROKER,
    RequestCode::DELETE_TOPIC_IN_BROKER,
    RequestCode::DELETE_TOPIC_IN_NAMESRV,
    RequestCode::REGISTER_TOPIC_IN_NAMESRV,
    RequestCode::ADD_WRITE_PERM_OF_BROKER,
    RequestCode::UPDATE_AND_CREATE_STATIC_TOPIC,
];

pub(crate) fn process(session: &Rc<Session>, asked: &Asked<'_>) -> Result<(), ProcessError> {
    let code = asked.view().request_code();
    if !session.settings.admin_relay {
        return Err(ProcessError::Unsupported(code));
    }
    session.spawn(asked.keep(), |session, request| async move {
        let view = request.view()?;
        let incoming = request.incoming(&view);
        let code = view.request_code();
        if let Some(name) = session.caller().broker() {
            let broker = session.upstream.broker(name).await?;
            if view.is_oneway() || !CHANGES_ROUTES.contains(&code) {
                return relay::to_broker(&session, &broker, request.row, &incoming);
            }
            let connection = broker.connection(request.row.class, request.row.needs_master)?;
            let time = session.settings.policy.time(request.row.patience);
            let answer = connection.call(request.bytes(), time).await;
            note_change(&session, &view);
            return session.pass_on(&incoming, &answer?);
        }
        let name_servers = session.upstream.name_servers();
        let changes_name_servers = CHANGES_NAME_SERVERS.contains(&code);
        if view.is_oneway() {
            // A one-way request must not wait for an answer: without one, the connection that all
            // clients share would be taken for dead.
            return Ok(name_servers
                .relay_oneway(request.bytes(), changes_name_servers)
                .await?);
        }
        let answer = if changes_name_servers {
            name_servers.call_all(request.bytes()).await
        } else {
            name_servers.call_frame(request.bytes()).await
        };
        if CHANGES_ROUTES.contains(&code) {
            note_change(&session, &view);
        }
        let answer = answer?;
        if view.request_code() == RequestCode::GET_BROKER_CLUSTER_INFO {
            return cluster_info(&session, &incoming, &answer);
        }
        session.pass_on(&incoming, &answer)
    });
    Ok(())
}

/// Reloads routes before the next client gets them: the route of the topic that the request names,
/// or all. A request that got no answer may have been executed.
fn note_change(session: &Session, view: &CommandView<'_>) {
    let routes = session.upstream.routes();
    match view.ext_fields().value("topic") {
        Some(topic) => routes.changed(&topic.text()),
        None => routes.all_changed(),
    }
}

/// The list of brokers with the addresses that clients can reach. Slaves have no advertised
/// address, and are left out if the broker has a master.
fn cluster_info(
    session: &Session,
    incoming: &Incoming<'_>,
    answer: &bytes::Bytes,
) -> Result<(), ProcessError> {
    let view = incoming.view;
    let answered = UpstreamView::decode_answer(answer)?;
    if !answered.is_success() {
        return session.pass_on(incoming, answer);
    }
    let mut info = ClusterInfo::decode(answered.body())?;
    for (name, data) in &mut info.broker_addr_table {
        let address = session.advertised.address(name, true);
        let shown = data.broker_addrs.keys().next().copied();
        data.broker_addrs.retain(|id, _| Some(*id) == shown);
        for at in data.broker_addrs.values_mut() {
            *at = address.to_string();
        }
    }
    let (opaque, serialize_type) = (view.opaque(), view.serialize_type());
    let success = RemotingCommand::response(ResponseCode::SUCCESS, opaque, serialize_type);
    session.answer(incoming, success.with_body(info.encode()));
    Ok(())
}
