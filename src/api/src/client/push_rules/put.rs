//! `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid>

use ruma::{
    OwnedRoomId, OwnedUserId,
    api::{
        IncomingRequest,
        client::push::set_pushrule::v3::{Request as Strict, Response},
        error::DeserializationError,
    },
    exports::serde_html_form,
    push::{
        Action, NewConditionalPushRule, NewPatternedPushRule, NewPushRule, NewSimplePushRule, PushCondition, RuleKind,
    },
};
use serde::Deserialize;
use wardstead_push::Place;

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

/// As ruma's, but that conditions may be left out, as the specification has it.
pub(super) struct Request {
    kind: RuleKind,
    rule_id: String,
    query: Query,
    body: Body,
}

#[derive(Deserialize)]
struct Query {
    before: Option<String>,
    after: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    actions: Vec<Action>,
    #[serde(default)]
    conditions: Option<Vec<PushCondition>>,
    pattern: Option<String>,
}

same_endpoint!(Request, Strict);

impl IncomingRequest for Request {
    type EndpointError = <Strict as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let argument = |at: usize| path_args.get(at).copied().unwrap_or_default();
        Ok(Self {
            kind: argument(0).into(),
            rule_id: argument(1).to_owned(),
            query: serde_html_form::from_str(request.uri().query().unwrap_or_default())?,
            body: serde_json::from_slice(request.body())?,
        })
    }
}

/// What a kind of rules does not have is passed over.
pub(super) async fn put(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let Request { kind, rule_id, query, body } = request;
    let place = Place { before: query.before, after: query.after };
    let rule = rule(&kind, rule_id, body)?;
    state.push.put_rule(&state.rooms, caller.user, &caller.user_id, &rule, &place).await?;
    Ok(Response::new())
}

fn rule(kind: &RuleKind, rule_id: String, body: Body) -> Result<NewPushRule, ApiError> {
    let Body { actions, conditions, pattern } = body;
    let conditional = |rule_id| NewConditionalPushRule::new(rule_id, conditions.unwrap_or_default(), actions.clone());
    Ok(match kind {
        RuleKind::Override => NewPushRule::Override(conditional(rule_id)),
        RuleKind::Underride => NewPushRule::Underride(conditional(rule_id)),
        RuleKind::Content => {
            let pattern = pattern.ok_or_else(|| ApiError::missing_param("missing field `pattern`"))?;
            NewPushRule::Content(NewPatternedPushRule::new(rule_id, pattern, actions))
        }
        RuleKind::Room => {
            let room = OwnedRoomId::try_from(rule_id)
                .map_err(|_| ApiError::invalid_param("The id of a rule for a room is that of the room."))?;
            NewPushRule::Room(NewSimplePushRule::new(room, actions))
        }
        RuleKind::Sender => {
            let sender = OwnedUserId::try_from(rule_id)
                .map_err(|_| ApiError::invalid_param("The id of a rule for a sender is that of the user."))?;
            NewPushRule::Sender(NewSimplePushRule::new(sender, actions))
        }
        _ => return Err(ApiError::invalid_param("There is no such kind of push rules.")),
    })
}
