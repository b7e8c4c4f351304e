//! Gateways over HTTP.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;
use wardstead_limits::pushers as limits;
use wardstead_push::{Gateway, GatewayAnswer, GatewayPolicy, HttpGateway};

const PATH: &str = "/_matrix/push/v1/notify";

fn gateway(policy: GatewayPolicy) -> HttpGateway {
    HttpGateway::new(policy).unwrap()
}

fn everywhere() -> HttpGateway {
    gateway(GatewayPolicy { everywhere: true, ..GatewayPolicy::default() })
}

/// A gateway that answers so, and what it was asked.
async fn serve(
    answer: impl IntoResponse + Clone + Send + Sync + 'static,
) -> (u16, Arc<Mutex<Vec<(HeaderMap, Bytes)>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::clone(&asked);
    let handler = post(async move |headers: HeaderMap, body: Bytes| {
        heard.lock().push((headers, body));
        answer.clone()
    });
    let router = Router::new().route(PATH, handler);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, asked)
}

async fn answer(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> GatewayAnswer {
    let (port, _) = serve(answer).await;
    everywhere().notify(&format!("http://127.0.0.1:{port}{PATH}"), Bytes::from_static(b"{}")).await
}

fn taken(rejected: &[&str]) -> GatewayAnswer {
    GatewayAnswer::Taken { rejected: rejected.iter().map(|key| (*key).to_owned()).collect() }
}

#[tokio::test]
async fn what_a_gateway_answers() {
    let (port, asked) = serve(json!({ "rejected": ["a"] }).to_string()).await;
    let url = format!("http://127.0.0.1:{port}{PATH}");
    assert_eq!(everywhere().notify(&url, Bytes::from_static(br#"{"a":1}"#)).await, taken(&["a"]));
    let (headers, body) = asked.lock().pop().unwrap();
    assert_eq!((&headers[header::CONTENT_TYPE], &*body), (&"application/json".parse().unwrap(), &br#"{"a":1}"#[..]));
    assert_eq!(answer(r#"{"rejected":[]}"#).await, taken(&[]));
    assert_eq!(answer("{}").await, taken(&[]));

    let failed = |answer: GatewayAnswer| matches!(answer, GatewayAnswer::Failed(_));
    assert!(failed(answer("taken").await));
    assert!(failed(answer((StatusCode::BAD_GATEWAY, "{}")).await));
    assert!(failed(answer((StatusCode::CREATED, "{}")).await));
    let long = format!(r#"{{"rejected":["{}"]}}"#, "a".repeat(limits::ANSWER_BYTES));
    assert!(failed(answer(long).await));
    // A redirect is an answer like others: where it leads nobody asks.
    let (elsewhere, asked) = serve("{}").await;
    let to = format!("http://127.0.0.1:{elsewhere}{PATH}");
    let redirect = [(header::LOCATION, to)];
    assert!(failed(answer((StatusCode::TEMPORARY_REDIRECT, redirect)).await));
    assert!(asked.lock().is_empty());
    assert!(failed(everywhere().notify("http://127.0.0.1:1/_matrix/push/v1/notify", Bytes::new()).await));
}

/// A name is looked up before anybody is spoken to.
#[tokio::test]
async fn no_name_leads_inside() {
    let (port, asked) = serve("{}").await;
    let strict = gateway(GatewayPolicy::default());
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]"] {
        let refused = strict.notify(&format!("https://{host}:{port}{PATH}"), Bytes::from_static(b"{}")).await;
        assert!(matches!(refused, GatewayAnswer::Failed(_)), "{refused:?}");
    }
    assert!(asked.lock().is_empty());
    let refused = strict.notify(&format!("https://localhost:{port}{PATH}"), Bytes::from_static(b"{}")).await;
    assert!(matches!(&refused, GatewayAnswer::Failed(why) if why.contains("nowhere")), "{refused:?}");
    let listed = gateway(GatewayPolicy { allowed: vec!["localhost".to_owned()], ..GatewayPolicy::default() });
    let url = format!("http://localhost:{port}{PATH}");
    assert_eq!(listed.notify(&url, Bytes::from_static(b"{}")).await, taken(&[]));
    assert_eq!(asked.lock().len(), 1);
}
