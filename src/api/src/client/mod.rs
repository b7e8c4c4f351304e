//! The [client-server API](https://spec.matrix.org/v1.16/client-server-api/): one endpoint a file, named by its path.

mod account_data;
mod account_deactivate;
mod account_password;
mod auth_fallback;
mod capabilities;
mod create_room;
mod dehydrated;
mod devices;
mod directory;
mod filter_create;
mod filter_get;
mod join;
mod joined_rooms;
mod key_changes;
mod keys;
mod knock;
mod login;
mod login_page;
mod login_token;
mod login_types;
mod logout;
mod logout_all;
mod media;
mod mutual_rooms;
mod notifications;
mod openid_token;
mod presence;
mod presence_get;
mod presence_set;
mod profile;
mod public_rooms;
mod public_rooms_search;
mod push_rules;
mod pushers;
mod refresh;
mod register;
mod register_available;
mod register_token_validity;
mod report_user;
mod room_keys;
mod room_summary;
mod rooms;
mod send_to_device;
mod sliding_sync;
mod sync;
mod thirdparty;
mod user_directory_search;
mod versions;
mod well_known;
mod well_known_server;
mod well_known_support;
mod whoami;
mod whois;

pub(crate) use auth_fallback::for_people;

use crate::{Group, routes::Routes};

/// Everything that clients can ask.
pub(crate) fn routes() -> Routes {
    let routes = Routes::new()
        .route(well_known::well_known)
        .route(well_known_server::well_known_server)
        .route(well_known_support::well_known_support)
        .route(versions::versions)
        .route(capabilities::capabilities)
        .route_limited(Group::Registration, register::register)
        .route_limited(Group::Registration, register_available::register_available)
        .route_limited(Group::Registration, register_token_validity::register_token_validity)
        .route(login_types::login_types)
        .route_limited(Group::Login, login::login)
        .route_limited(Group::Token, login_token::login_token)
        .route_limited(Group::Refresh, refresh::refresh)
        .route(logout::logout)
        .route(logout_all::logout_all)
        .route(whoami::whoami)
        .route(whois::whois)
        .route_limited(Group::Token, openid_token::openid_token)
        .route_limited(Group::Password, account_password::account_password)
        .route_limited(Group::Password, account_deactivate::account_deactivate)
        .route(filter_create::filter_create)
        .route(filter_get::filter_get)
        .route_limited(Group::Create, create_room::create_room)
        .route_limited(Group::Join, join::join)
        .route_limited(Group::Join, knock::knock)
        .route(joined_rooms::joined_rooms)
        .route(presence_get::presence_get)
        .route(presence_set::presence_set)
        .route(public_rooms::public_rooms)
        .route_limited(Group::Search, public_rooms_search::public_rooms_search)
        .route_also(room_summary::room_summary, room_summary::unstable_paths)
        .route_also(mutual_rooms::mutual_rooms, mutual_rooms::unstable_paths)
        .route(notifications::notifications)
        .route(report_user::report_user)
        .route_limited(Group::Search, user_directory_search::user_directory_search)
        .route(send_to_device::send_to_device)
        .route(key_changes::key_changes)
        .route_also(sliding_sync::sliding_sync, sliding_sync::unstable_paths)
        .route(sync::sync);
    let routes = account_data::routes(profile::routes(thirdparty::routes(routes)));
    let routes = login_page::routes(devices::routes(routes.limited(Group::Password, auth_fallback::routes)));
    let routes = media::routes(dehydrated::routes(keys::routes(routes)));
    rooms::routes(directory::routes(push_rules::routes(room_keys::routes(pushers::routes(routes)))))
}
