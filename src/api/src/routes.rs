//! Mounts handlers by the metadata that ruma has of their endpoints, and keeps a list of what is mounted.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::{Request, State},
    response::IntoResponse,
    routing::{MethodFilter, on},
};
use http::Method;
use ruma::api::{IncomingRequest, Metadata, path_builder::PathBuilder as _};
use tracing::Instrument as _;

use crate::{
    ApiError, ApiState, Group,
    access::Access,
    client::for_people,
    ruma_io::{Answer, Ruma, WithFile},
};

/// One method on one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path, its variables in braces.
    pub path: String,
    /// Whether a request without an access token is refused.
    pub needs_token: bool,
    /// What its requests are counted in.
    pub group: Option<Group>,
    /// Whether it is a page for people, which takes forms and answers HTML.
    pub page: bool,
    /// Whether its body is a file.
    pub file: bool,
}

/// A router in the making.
pub(crate) struct Routes {
    pub(crate) router: Router<ApiState>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// What is mounted now is counted in.
    group: Option<Group>,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), endpoints: Vec::new(), group: None }
    }

    /// Mounts `handler` on each stable path that the endpoint ever had, `r0` among them: old clients still ask there.
    pub(crate) fn route<R, A, H, F>(self, handler: H) -> Self
    where
        H: Fn(Ruma<R>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<A, ApiError>> + Send + 'static,
        A: Answer,
        R: IncomingRequest + Metadata<Authentication: Access> + Send + 'static,
    {
        self.route_also(handler, |_| Vec::new())
    }

    /// Mounts what `mount` does; the requests are counted in `group`, and refused when there are too many.
    pub(crate) fn limited(mut self, group: Group, mount: impl FnOnce(Self) -> Self) -> Self {
        let around = self.group.replace(group);
        Self { group: around, ..mount(self) }
    }

    /// As [`Routes::route`]; requests are counted in `group`, and refused when there are too many.
    pub(crate) fn route_limited<R, A, H, F>(self, group: Group, handler: H) -> Self
    where
        H: Fn(Ruma<R>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<A, ApiError>> + Send + 'static,
        A: Answer,
        R: IncomingRequest + Metadata<Authentication: Access> + Send + 'static,
    {
        self.limited(group, |routes| routes.route(handler))
    }

    /// Mounts a page for people, which nobody needs a token for, on `paths`. What goes wrong is told on a page, too.
    pub(crate) fn page<H, T>(mut self, method: &Method, paths: &[&str], handler: &H) -> Self
    where
        H: axum::handler::Handler<T, ApiState>,
        T: 'static,
    {
        let group = self.group;
        for path in paths {
            let handler = handler.clone();
            let served = move |State(state): State<ApiState>, request: Request| async move {
                for_people(match admit(&state, group, &request) {
                    Ok(()) => handler.call(request, state).await,
                    Err(error) => error.into_response(),
                })
            };
            self.router = self.router.route(path, on(filter(method), served));
            let path = (*path).to_owned();
            self.endpoints.push(Endpoint {
                method: method.clone(),
                path,
                needs_token: false,
                page: true,
                file: false,
                group,
            });
        }
        self
    }

    /// As [`Routes::route`], and on the paths that `also` makes of each of those.
    pub(crate) fn route_also<R, A, H, F>(self, handler: H, also: fn(&str) -> Vec<String>) -> Self
    where
        H: Fn(Ruma<R>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<A, ApiError>> + Send + 'static,
        A: Answer,
        R: IncomingRequest + Metadata<Authentication: Access> + Send + 'static,
    {
        let mut paths = Vec::new();
        for path in R::PATH_BUILDER.all_paths().filter(|path| !path.contains("/unstable/")) {
            paths.push(path.to_owned());
            paths.extend(also(path));
        }
        paths.sort_unstable();
        paths.dedup();
        self.mount(handler, paths)
    }

    /// As [`Routes::route`], of an endpoint whose body is a file.
    pub(crate) fn route_file<R, A, H, F>(mut self, handler: H) -> Self
    where
        H: Fn(WithFile<R>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<A, ApiError>> + Send + 'static,
        A: Answer,
        R: IncomingRequest + Metadata<Authentication: Access> + Send + 'static,
    {
        let (known, group) = (R::PATH_BUILDER, self.group);
        for path in known.all_paths().filter(|path| !path.contains("/unstable/")) {
            let handler = handler.clone();
            let served = on(filter(&R::METHOD), move |State(state): State<ApiState>, request: Request| async move {
                let answered = match Box::pin(WithFile::read(request, &state, group)).await {
                    Ok(asked) => run(&R::METHOD, Box::pin(handler(asked))).await,
                    Err(error) => Err(error),
                };
                answered.and_then(Answer::into_answer).unwrap_or_else(IntoResponse::into_response)
            });
            self.router = self.router.route(path, served);
            let needs_token = <R::Authentication as Access>::REQUIRED;
            let (method, path) = (R::METHOD, path.to_owned());
            self.endpoints.push(Endpoint { method, path, needs_token, page: false, file: true, group });
        }
        self
    }

    /// Mounts `handler` where a proposal that is not accepted yet has its endpoint, and nowhere else.
    pub(crate) fn route_unstable<R, A, H, F>(self, handler: H) -> Self
    where
        H: Fn(Ruma<R>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<A, ApiError>> + Send + 'static,
        A: Answer,
        R: IncomingRequest + Metadata<Authentication: Access> + Send + 'static,
    {
        let known = R::PATH_BUILDER;
        let paths = known.all_paths().filter(|path| path.contains("/unstable/")).map(str::to_owned).collect();
        self.mount(handler, paths)
    }

    fn mount<R, A, H, F>(mut self, handler: H, paths: Vec<String>) -> Self
    where
        H: Fn(Ruma<R>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<A, ApiError>> + Send + 'static,
        A: Answer,
        R: IncomingRequest + Metadata<Authentication: Access> + Send + 'static,
    {
        let group = self.group;
        for path in paths {
            let handler = handler.clone();
            let served = on(filter(&R::METHOD), move |State(state): State<ApiState>, request: Request| async move {
                let answered = match Box::pin(Ruma::read(request, &state, group)).await {
                    // In a place of its own: what surrounds it would each set aside room for it again, also while it waits.
                    Ok(ruma) => run(&R::METHOD, Box::pin(handler(ruma))).await,
                    Err(error) => Err(error),
                };
                answered.and_then(Answer::into_answer).unwrap_or_else(IntoResponse::into_response)
            });
            self.router = self.router.route(&path, served);
            let needs_token = <R::Authentication as Access>::REQUIRED;
            self.endpoints.push(Endpoint { method: R::METHOD, path, needs_token, page: false, file: false, group });
        }
        self
    }
}

/// Whether who asks for a page is not one too many; nobody is known yet.
fn admit(state: &ApiState, group: Option<Group>, request: &Request) -> Result<(), ApiError> {
    let Some(group) = group else { return Ok(()) };
    let client = state.config.trusted_proxies.client(request);
    state.limiter.count(group, &client, None, 1)
}

/// A client that hangs up drops its request's future. A read may end so; a write goes on to its end, so that no part ever sees one
/// abandoned between two steps.
async fn run<A, F>(method: &Method, handling: Pin<Box<F>>) -> Result<A, ApiError>
where
    F: Future<Output = Result<A, ApiError>> + Send + 'static,
    A: Answer,
{
    if *method == Method::GET { handling.await } else { ToTheEnd(Some(handling)).await }
}

/// A future that, when it is dropped halfway, goes on in a task of its own.
struct ToTheEnd<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send> + Send + 'static> Future for ToTheEnd<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(rest) = &mut self.0 else { return Poll::Pending };
        let output = std::task::ready!(rest.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for ToTheEnd<F> {
    fn drop(&mut self) {
        // A future that panicked has no rest; without a runtime nothing can go on.
        if let Some(rest) = self.0.take()
            && !std::thread::panicking()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(rest.in_current_span());
        }
    }
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}
