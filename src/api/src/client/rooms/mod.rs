//! Endpoints below `/_matrix/client/v3/rooms/{roomId}`.

mod aliases;
mod ban;
mod context;
mod event;
mod forget;
mod hierarchy;
mod invite;
mod join;
mod joined_members;
mod kick;
mod leave;
mod members;
mod messages;
mod read_markers;
mod receipt;
mod redact;
mod relations;
mod relations_by_event_type;
mod relations_by_type;
mod report;
mod report_event;
mod send;
mod shown;
mod state;
mod state_event;
mod state_event_set;
mod threads;
mod timestamp_to_event;
mod typing;
mod unban;
mod upgrade;
mod with_filter;

pub(super) use self::{invite::no_identity_server, report::check_reported};
use crate::{Group, routes::Routes};

/// Adds them to `routes`.
pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .route_limited(Group::Invite, invite::invite)
        .route_limited(Group::Join, join::join)
        .route(leave::leave)
        .route(forget::forget)
        .route_limited(Group::Send, kick::kick)
        .route_limited(Group::Send, ban::ban)
        .route_limited(Group::Send, unban::unban)
        .route_limited(Group::Create, upgrade::upgrade)
        .route_limited(Group::Send, send::send)
        .route_limited(Group::Send, redact::redact)
        .route(context::context)
        .route(report::report)
        .route(report_event::report_event)
        .route(relations::relations)
        .route(relations_by_type::relations_by_type)
        .route(relations_by_event_type::relations_by_event_type)
        .route(threads::threads)
        .route(timestamp_to_event::timestamp_to_event)
        .route(state::state)
        .route_also(state_event::state_event, without_state_key)
        .limited(Group::Send, |routes| routes.route_also(state_event_set::state_event_set, without_state_key))
        .route(messages::messages)
        .route(event::event)
        .route(members::members)
        .route(joined_members::joined_members)
        .route(receipt::receipt)
        .route(read_markers::read_markers)
        .route(typing::typing)
        .route(aliases::aliases)
        .route(hierarchy::hierarchy)
}

/// An empty state key may be left out, with the slash before it or without.
fn without_state_key(path: &str) -> Vec<String> {
    let path = path.trim_end_matches("{state_key}");
    vec![path.to_owned(), path.trim_end_matches('/').to_owned()]
}
