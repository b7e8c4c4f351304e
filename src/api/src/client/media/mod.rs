//! `/_matrix/client/v1/media/…`, and `/_matrix/media/…`, where files were read without a token before version 1.11 of the specification and
//! are uploaded to this day.

mod config;
mod create;
mod download;
mod download_as;
mod old_config;
mod old_download;
mod old_download_as;
mod old_preview_url;
mod old_thumbnail;
mod preview_url;
mod range;
mod served;
mod thumbnail;
mod upload;
mod upload_to;

use crate::{Group, routes::Routes};

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = routes
        .route(config::config)
        .route(download::download)
        .route(download_as::download_as)
        .route(thumbnail::thumbnail)
        .route(preview_url::preview_url)
        .route(old_config::old_config)
        .route(old_download::old_download)
        .route(old_download_as::old_download_as)
        .route(old_thumbnail::old_thumbnail)
        .route(old_preview_url::old_preview_url);
    routes.limited(Group::Upload, |routes| {
        routes.route(create::create).route_file(upload::upload).route_file(upload_to::upload_to)
    })
}
