//! Encryption to the database.

use std::{net::TcpListener, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::blocking;
use crate::{
    Durability, PostgresEngine, PostgresOptions,
    connection::{Connection, Role},
    testing::Cluster,
};

const PASSWORD: &str = "open-sesame";

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server on TCP whose certificate is for `localhost`; its port.
fn server(authority: &CertifiedIssuer<'static, KeyPair>) -> (Cluster, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = Cluster::start(&[&format!("port = {port}"), "listen_addresses = '127.0.0.1'"]);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    cluster.install("server.crt", &certificate.pem());
    cluster.install("server.key", &key.serialize_pem());
    cluster.sql("ALTER SYSTEM SET ssl = on");
    cluster.sql("SELECT pg_reload_conf()");
    cluster.wait_for("SHOW ssl", "on");
    cluster.sql(&format!("ALTER ROLE wardstead PASSWORD '{PASSWORD}'"));
    (cluster, port)
}

/// Whether the connection is encrypted, or why there is none.
async fn connect(url: &str, ca: Option<&Path>, password: &str) -> Result<bool, String> {
    let options = PostgresOptions::from_url(url, Some(password.to_owned()), ca).map_err(|error| error.to_string())?;
    let options = PostgresOptions { durability: Durability::Primary, ..options };
    let connection = Connection::open(&options, Role::Reader, None).await.map_err(|error| error.to_string())?;
    let ask = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(connection.client().query_one(ask, &[]).await.unwrap().get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_verified_as_asked_and_the_password_is_never_told() {
    let (ours, theirs) = (authority(), authority());
    let folder = tempfile::tempdir().unwrap();
    let (known, foreign) = (folder.path().join("known.pem"), folder.path().join("foreign.pem"));
    std::fs::write(&known, ours.pem()).unwrap();
    std::fs::write(&foreign, theirs.pem()).unwrap();
    let (cluster, port) = blocking(move || server(&ours)).await;
    let url = |host: &str, mode: &str| format!("postgres://wardstead@{host}:{port}/postgres?sslmode={mode}");

    for (host, mode, ca, encrypted) in [
        ("localhost", "verify-full", Some(&known), Some(true)),
        ("localhost", "verify-full", Some(&foreign), None),
        ("127.0.0.1", "verify-full", Some(&known), None),
        ("127.0.0.1", "require", Some(&known), Some(true)),
        ("127.0.0.1", "require", Some(&foreign), None),
        ("127.0.0.1", "require", None, Some(true)),
        ("127.0.0.1", "prefer", None, Some(true)),
        ("127.0.0.1", "disable", None, Some(false)),
    ] {
        let connected = connect(&url(host, mode), ca.map(std::path::PathBuf::as_path), PASSWORD).await;
        assert_eq!(connected.as_ref().ok().copied(), encrypted, "{mode} to {host} with {ca:?}: {connected:?}");
    }
    let refused = connect(&url("localhost", "verify-full"), Some(&known), "wrong-sesame").await.unwrap_err();
    assert!(refused.contains("28P01") && !refused.contains("sesame"), "{refused}");
    let missing =
        connect(&url("localhost", "verify-full"), Some(Path::new("/nowhere.pem")), PASSWORD).await.unwrap_err();
    assert!(missing.contains("/nowhere.pem"), "{missing}");

    let options = PostgresOptions::from_url(&url("localhost", "verify-full"), Some(PASSWORD.to_owned()), Some(&known));
    let options = PostgresOptions { durability: Durability::Primary, ..options.unwrap() };
    let cluster = blocking(move || {
        cluster.sql("GRANT CREATE ON DATABASE postgres TO wardstead");
        cluster
    })
    .await;
    PostgresEngine::open(options).await.unwrap().close().await;
    blocking(move || drop(cluster)).await;
}
