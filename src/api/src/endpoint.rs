//! What ruma's router has to know of a request that is not ruma's own.

/// `$own` is a request of the same endpoint as `$known`, read in another way; with a third type, it is authorised that way.
macro_rules! same_endpoint {
    ($own:ident $(<$parameter:ident>)?, $known:ty) => {
        same_endpoint!($own $(<$parameter>)?, $known, <$known as ruma::api::Metadata>::Authentication);
    };
    ($own:ident $(<$parameter:ident>)?, $known:ty, $authentication:ty) => {
        impl$(<$parameter: ruma::api::Metadata>)? ruma::api::Metadata for $own $(<$parameter>)? {
            const METHOD: http::Method = <$known as ruma::api::Metadata>::METHOD;
            const RATE_LIMITED: bool = <$known as ruma::api::Metadata>::RATE_LIMITED;
            type Authentication = $authentication;
            type PathBuilder = <$known as ruma::api::Metadata>::PathBuilder;
            const PATH_BUILDER: Self::PathBuilder = <$known as ruma::api::Metadata>::PATH_BUILDER;
        }
    };
}

/// `$own` is the request of an endpoint that ruma does not have, whose path is the same in every version of the specification.
macro_rules! own_endpoint {
    ($own:ty, $method:ident $path:literal, $authentication:ty) => {
        impl ruma::api::Metadata for $own {
            const METHOD: http::Method = http::Method::$method;
            // What is limited is said where it is mounted.
            const RATE_LIMITED: bool = false;
            type Authentication = $authentication;
            type PathBuilder = ruma::api::path_builder::SinglePath;
            const PATH_BUILDER: Self::PathBuilder = ruma::api::path_builder::SinglePath::new($path);
        }
    };
}

pub(crate) use {own_endpoint, same_endpoint};
