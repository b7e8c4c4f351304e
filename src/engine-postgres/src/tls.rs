//! Encryption of connections: rustls on ring.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::options::PostgresOptionsError;

/// What of the server's certificate is verified; the words are those of libpq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing: whoever listens is spoken to, encrypted.
    None,
    /// Its chain, not its name.
    Certificate,
    /// Its chain and its name.
    Full,
}

/// How connections are encrypted.
#[derive(Clone)]
pub struct Tls {
    connect: MakeRustlsConnect,
    verification: Verification,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("verification", &self.verification).finish_non_exhaustive()
    }
}

impl Tls {
    /// For connections that are never encrypted.
    #[must_use]
    pub fn none() -> Self {
        Self::with(Verification::None, RootCertStore::empty(), Arc::new(Unverified::new(None)))
    }

    /// Certificates are held against those in the PEM file `ca`; without it against the system's.
    ///
    /// # Errors
    /// [`PostgresOptionsError::Certificates`] when there are none or they cannot be read.
    pub fn new(verification: Verification, ca: Option<&Path>) -> Result<Self, PostgresOptionsError> {
        if verification == Verification::None {
            return Ok(Self::none());
        }
        let file = ca.map_or_else(|| "certificates of the system".to_owned(), |ca| ca.display().to_string());
        let failed = |why: String| PostgresOptionsError::Certificates { file: file.clone(), why };
        let roots = roots(ca).map_err(failed)?;
        if roots.is_empty() {
            return Err(failed("there is no certificate".to_owned()));
        }
        let provider = Arc::new(ring::default_provider());
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), provider)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self::with(verification, roots, Arc::new(Unverified::new(Some(chain)))))
    }

    /// What of the server's certificate is verified.
    #[must_use]
    pub fn verification(&self) -> Verification {
        self.verification
    }

    fn with(verification: Verification, roots: RootCertStore, lax: Arc<Unverified>) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        // ring has suites for both versions, so this cannot fail; if it ever did, the handshake would.
        let builder = match builder.with_safe_default_protocol_versions() {
            Ok(builder) => builder,
            Err(error) => unreachable!("{error}"),
        };
        let config = if verification == Verification::Full {
            builder.with_root_certificates(roots).with_no_client_auth()
        } else {
            builder.dangerous().with_custom_certificate_verifier(lax).with_no_client_auth()
        };
        Self { connect: MakeRustlsConnect::new(config), verification }
    }

    pub(crate) fn connector(&self) -> MakeRustlsConnect {
        self.connect.clone()
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else {
        // What the system has and rustls cannot read is of no use for a database's certificate either.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

/// Accepts any certificate, or any name on a certificate of a known chain; the handshake's signature is always verified.
#[derive(Debug)]
struct Unverified {
    provider: CryptoProvider,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl Unverified {
    fn new(chain: Option<Arc<WebPkiServerVerifier>>) -> Self {
        Self { provider: ring::default_provider(), chain }
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The name is verified last, so this error means that the chain is good.
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
