//! Files over HTTP: uploaded, read whole and in parts, with what keeps a browser from running them.

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};
use wardstead_api::{Group, GroupRates, RateLimits};
use wardstead_limits::Rate;
use wardstead_media::MediaConfig;

use crate::server::{Answer, Options, Server};

const V1: &str = "/_matrix/client/v1/media";
const OLD: &str = "/_matrix/media/v3";

/// A request with headers.
async fn ask(
    server: &Server,
    method: Method,
    path: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request.body(Body::from(body.to_vec())).unwrap()).await
}

/// Uploads and gives the id.
async fn upload(server: &Server, token: &str, content_type: &str, query: &str, file: &[u8]) -> String {
    let headers = [("content-type", content_type)];
    let answer = ask(server, Method::POST, &format!("{OLD}/upload{query}"), token, &headers, file).await.ok();
    id(&answer["content_uri"])
}

fn id(uri: &Value) -> String {
    uri.as_str().unwrap().strip_prefix("mxc://example.org/").unwrap().to_owned()
}

fn download(id: &str) -> String {
    format!("{V1}/download/example.org/{id}")
}

async fn open_server() -> Server {
    Server::with(Options { media: MediaConfig { open: true, ..MediaConfig::default() }, ..Options::default() }).await
}

/// What a picture's beginning and end are does not matter to who stores it as something else.
fn file(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[tokio::test]
async fn a_file_is_uploaded_and_read() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let file = file(300_000);
    let id = upload(&server, &anna, "video/mp4", "?filename=film.mp4", &file).await;
    assert!(id.len() >= 20);
    let answer = server.get(&download(&id), &bert).await;
    assert_eq!((answer.status.as_u16(), &answer.bytes), (200, &file));
    for (name, value) in [
        ("content-type", "video/mp4"),
        ("content-length", "300000"),
        ("content-disposition", "inline; filename=film.mp4"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, max-age=86400"),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox; default-src 'none'; script-src 'none';"), "{policy}");
    let head = ask(&server, Method::HEAD, &download(&id), &bert, &[], b"").await;
    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "300000");
    // Nobody without a token, and nothing of other servers.
    server.get(&download(&id), "").await.expect_error(401, "M_MISSING_TOKEN");
    server.get(&download("unknown"), &bert).await.expect_error(404, "M_NOT_FOUND");
    let elsewhere = format!("{V1}/download/elsewhere.example/{id}");
    server.get(&elsewhere, &bert).await.expect_error(404, "M_NOT_FOUND");
    let empty = upload(&server, &anna, "text/plain", "", b"").await;
    let answer = server.get(&download(&empty), &bert).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (200, 0));
}

/// What a browser could run is never shown within a page; names come back as they were, or as they are asked for.
#[tokio::test]
async fn what_could_run_is_an_attachment() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    for (content_type, disposition) in [
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/pdf", "attachment"),
        ("application/octet-stream", "attachment"),
        ("text/javascript", "attachment"),
        ("TEXT/Plain; charset=utf-8", "inline"),
        ("audio/ogg", "inline"),
    ] {
        let id = upload(&server, &anna, content_type, "", b"<script>alert(1)</script>").await;
        let answer = server.get(&download(&id), &anna).await;
        assert_eq!(answer.headers["content-disposition"], disposition, "{content_type}");
        assert_eq!(answer.headers["content-type"], content_type);
    }
    for (query, name, disposition) in [
        ("name%20with%20spaces", "", "inline; filename=\"name with spaces\""),
        ("name%3Bwith%3Bsemicolons", "", "inline; filename=\"name;with;semicolons\""),
        ("%F0%9F%90%94", "", "inline; filename*=utf-8''%F0%9F%90%94"),
        ("a%0D%0ASet-Cookie:b", "", "inline; filename=\"aSet-Cookie:b\""),
        ("plain", "/%E2%98%95", "inline; filename*=utf-8''%E2%98%95"),
        ("plain", "/other.txt", "inline; filename=other.txt"),
    ] {
        let id = upload(&server, &anna, "text/plain", &format!("?filename={query}"), b"x").await;
        let answer = server.get(&format!("{}{name}", download(&id)), &anna).await;
        assert_eq!(answer.headers["content-disposition"], disposition);
    }
    // No content type is one, too.
    let answer = ask(&server, Method::POST, &format!("{OLD}/upload"), &anna, &[], b"x").await.ok();
    let answer = server.get(&download(&id(&answer["content_uri"])), &anna).await;
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
}

#[tokio::test]
async fn parts_of_a_file_are_read() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let file = file(200_000);
    let id = upload(&server, &anna, "audio/ogg", "", &file).await;
    let part = |headers: &'static [(&str, &str)]| {
        let (server, anna, path) = (&server, &anna, download(&id));
        async move { ask(server, Method::GET, &path, anna, headers, b"").await }
    };
    for (headers, range) in [
        (&[("range", "bytes=0-99")], 0..100),
        (&[("range", "bytes=65535-131072")], 65_535..131_073),
        (&[("range", "bytes=199990-")], 199_990..200_000),
        (&[("range", "bytes=-5")], 199_995..200_000),
    ] {
        let answer = part(headers).await;
        let said = format!("bytes {}-{}/200000", range.start, range.end - 1);
        assert_eq!((answer.status.as_u16(), &answer.bytes[..]), (206, &file[range]), "{headers:?}");
        assert_eq!(answer.headers["content-range"], said.as_str());
        assert_eq!(answer.headers["content-length"], answer.bytes.len().to_string().as_str());
    }
    let beyond = part(&[("range", "bytes=200000-")]).await;
    assert_eq!((beyond.status.as_u16(), beyond.headers["content-range"].to_str().unwrap()), (416, "bytes */200000"));
    assert_eq!(part(&[("range", "bytes=0-1,5-6")]).await.bytes, file);
    assert_eq!(part(&[("range", "bytes=0-1"), ("if-range", "\"other\"")]).await.bytes, file);
    let tag = part(&[]).await.headers["etag"].to_str().unwrap().to_owned();
    let again = ask(&server, Method::GET, &download(&id), &anna, &[("if-none-match", &tag)], b"").await;
    assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0));
    let goes_on = [("range", "bytes=10-"), ("if-range", tag.as_str())];
    let rest = ask(&server, Method::GET, &download(&id), &anna, &goes_on, b"").await;
    assert_eq!((rest.status.as_u16(), &rest.bytes[..]), (206, &file[10..]));
}

/// From the id to the file, as `TestAsyncUpload` does it, and on another node.
#[tokio::test]
async fn a_file_comes_later_than_its_id() {
    let server = open_server().await;
    let another = server.another(2).await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let made = server.post("/_matrix/media/v1/create", &anna, &json!({})).await.ok();
    let id = id(&made["content_uri"]);
    assert!(made["unused_expires_at"].as_u64().unwrap() > wardstead_store::testing::START_MS);
    for path in [download(&id), format!("{OLD}/download/example.org/{id}")] {
        let answer = server.get(&format!("{path}?timeout_ms=10"), &bert).await;
        answer.expect_error(504, "M_NOT_YET_UPLOADED");
    }
    let path = format!("{OLD}/upload/example.org/{id}");
    ask(&server, Method::PUT, &path, &bert, &[], b"x").await.expect_error(403, "M_FORBIDDEN");
    let waiting = format!("{}?timeout_ms=20000", download(&id));
    let headers = [("content-type", "text/plain")];
    let (read, put) =
        tokio::join!(server.get(&waiting, &bert), ask(&another, Method::PUT, &path, &anna, &headers, b"later"));
    assert_eq!(put.ok(), json!({}));
    assert_eq!((read.status.as_u16(), &read.bytes[..]), (200, &b"later"[..]));
    ask(&server, Method::PUT, &path, &anna, &[], b"").await.expect_error(409, "M_CANNOT_OVERWRITE_MEDIA");
    let unknown = format!("{OLD}/upload/example.org/unknown");
    ask(&server, Method::PUT, &unknown, &anna, &[], b"x").await.expect_error(404, "M_NOT_FOUND");
    let elsewhere = format!("{OLD}/upload/elsewhere.example/{id}");
    ask(&server, Method::PUT, &elsewhere, &anna, &[], b"x").await.expect_error(404, "M_NOT_FOUND");
}

/// Since 1.11 files are read with a token; those that were uploaded while that was not so stay as they were.
#[tokio::test]
async fn the_old_endpoints_are_frozen() {
    let open = open_server().await;
    let frozen = open.another_with(2, Options { objects: open.objects(), ..Options::default() }).await;
    let anna = open.token("anna").await;
    let (before, after) = (
        upload(&open, &anna, "text/plain", "", b"before").await,
        upload(&frozen, &anna, "text/plain", "", b"after").await,
    );
    for server in [&open, &frozen] {
        for (id, status) in [(&before, 200), (&after, 404)] {
            for path in [format!("{OLD}/download/example.org/{id}"), format!("{OLD}/download/example.org/{id}/name")] {
                for token in ["", &anna] {
                    assert_eq!(server.get(&path, token).await.status.as_u16(), status, "{path}");
                }
            }
            assert_eq!(server.get(&download(id), &anna).await.status, 200);
        }
        let r0 = format!("/_matrix/media/r0/download/example.org/{before}");
        assert_eq!(server.get(&r0, "").await.headers["cache-control"], "public, max-age=86400");
        let thumbnail = format!("{OLD}/thumbnail/example.org/{after}?width=1&height=1");
        server.get(&thumbnail, &anna).await.expect_error(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn sizes_and_quotas_are_told_and_hold() {
    let media = MediaConfig { file_bytes: 100_000, user_bytes: 150_000, ..MediaConfig::default() };
    let server = Server::with(Options { media, ..Options::default() }).await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    for path in [format!("{V1}/config"), format!("{OLD}/config")] {
        assert_eq!(server.get(&path, &anna).await.ok(), json!({ "m.upload.size": 100_000 }));
        server.get(&path, "").await.expect_error(401, "M_MISSING_TOKEN");
    }
    let path = format!("{OLD}/upload");
    let put = |token: String, bytes: usize, seed: u8| {
        let (server, path) = (&server, &path);
        async move { ask(server, Method::POST, path, &token, &[], &vec![seed; bytes]).await }
    };
    put(anna.clone(), 100_001, 1).await.expect_error(413, "M_TOO_LARGE");
    put(anna.clone(), 100_000, 1).await.ok();
    put(anna.clone(), 50_001, 2).await.expect_error(403, "M_FORBIDDEN");
    put(anna, 50_000, 2).await.ok();
    put(bert, 100_000, 3).await.ok();
}

/// Too many, too fast, and too many ids that wait.
#[tokio::test]
async fn uploads_are_limited() {
    let rate = GroupRates { account: Some(Rate::per_minute(1, 2)), address: None };
    let limits = RateLimits::default().with(Group::Upload, rate);
    let server = Server::with(Options { limits, ..Options::default() }).await;
    let anna = server.token("anna").await;
    for _ in 0..2 {
        upload(&server, &anna, "text/plain", "", b"x").await;
    }
    let path = format!("{OLD}/upload");
    ask(&server, Method::POST, &path, &anna, &[], b"x").await.expect_error(429, "M_LIMIT_EXCEEDED");
    let server = Server::new().await;
    let anna = server.token("anna").await;
    for _ in 0..wardstead_limits::media::AWAITED_FILES_PER_USER {
        server.post("/_matrix/media/v1/create", &anna, &json!({})).await.ok();
    }
    let more = server.post("/_matrix/media/v1/create", &anna, &json!({})).await;
    more.expect_error(429, "M_LIMIT_EXCEEDED");
}

/// A file that is locked away is not there, on any node, at any endpoint.
#[tokio::test]
async fn what_is_locked_away_is_not_there() {
    let server = open_server().await;
    let another = server.another(2).await;
    let anna = server.token("anna").await;
    let id = upload(&server, &anna, "text/plain", "", b"malware").await;
    another.media.lock(&id, true).await.unwrap();
    for path in [
        download(&id),
        format!("{}/name", download(&id)),
        format!("{V1}/thumbnail/example.org/{id}?width=1&height=1"),
        format!("{OLD}/download/example.org/{id}"),
        format!("{OLD}/download/example.org/{id}/name"),
        format!("{OLD}/thumbnail/example.org/{id}?width=1&height=1"),
    ] {
        server.get(&path, &anna).await.expect_error(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn there_are_no_previews_and_no_thumbnails_of_text() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    for path in
        [format!("{V1}/preview_url?url=https://example.org"), format!("{OLD}/preview_url?url=https://example.org")]
    {
        server.get(&path, &anna).await.expect_error(404, "M_UNRECOGNIZED");
    }
    let id = upload(&server, &anna, "text/plain", "", b"x").await;
    let thumbnail = format!("{V1}/thumbnail/example.org/{id}?width=32&height=32");
    server.get(&thumbnail, &anna).await.expect_error(400, "M_UNKNOWN");
    server.get(&format!("{V1}/thumbnail/example.org/{id}"), &anna).await.expect_error(400, "M_MISSING_PARAM");
}

/// What a telephone says of where and when is gone before the picture is stored; a thumbnail is made once, and for everybody.
#[tokio::test]
async fn pictures_are_stripped_and_have_thumbnails() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let picture = include_bytes!("../../../media/tests/pictures/nokia.jpg");
    let id = upload(&server, &anna, "image/jpeg", "?filename=ward.jpg", picture).await;
    let stored = server.get(&download(&id), &bert).await;
    assert!(stored.bytes.len() < picture.len() && stored.bytes.starts_with(b"\xff\xd8"));
    let says = |file: &[u8]| file.windows(5).any(|window| window == b"Nokia");
    assert!(says(picture) && !says(&stored.bytes));
    // Encrypted files are not touched.
    let sealed: Vec<u8> = picture.iter().map(|byte| byte ^ 0x5a).collect();
    let sealed_id = upload(&server, &anna, "application/octet-stream", "", &sealed).await;
    assert_eq!(server.get(&download(&sealed_id), &bert).await.bytes, sealed);
    let path = format!("{V1}/thumbnail/example.org/{id}?width=32&height=32&method=crop");
    let thumbnail = server.get(&path, &bert).await;
    assert_eq!((thumbnail.status.as_u16(), &thumbnail.headers["content-type"]), (200, &"image/jpeg".parse().unwrap()));
    assert_eq!(thumbnail.headers["content-disposition"], "inline; filename=thumbnail.jpeg");
    assert!(thumbnail.bytes.len() < 10_000);
    let again = server.another(2).await.get(&path, &anna).await;
    assert_eq!((again.bytes, &again.headers["etag"]), (thumbnail.bytes, &thumbnail.headers["etag"]));
    // It goes with the file.
    server.media.remove(&id).await.unwrap();
    server.get(&path, &bert).await.expect_error(404, "M_NOT_FOUND");
}
