//! What only the server says in an event: it is added to what the client proposed, on the state on which the event is built,
//! and so again on each rebuild.

use std::{borrow::Cow, sync::Arc};

use ruma::{CanonicalJsonValue, OwnedUserId, UserId, events::TimelineEventType};
use wardstead_engine::{Key, KeyReader, PageLimit, ScanRange};
use wardstead_limits::rooms as limits;

use crate::{
    Event, Membership, RoomError,
    event::{
        build::Proposal,
        content::{self, text},
    },
    membership::{Guard, JoinRule},
    power,
    state::key,
    tables::{MEMBERS, USER_ROOMS},
};

use super::{Author, Build};

pub(super) const AUTHORISED_VIA: &str = "join_authorised_via_users_server";

impl Build<'_> {
    /// The event that says already what `guard` wants; `None` where there is something to say.
    ///
    /// # Errors
    /// `Forbidden` when there is nothing to do; to those who are not in the room it says no more than that.
    pub(super) async fn guarded(
        &self,
        author: &Author,
        guard: Guard,
        current: Option<&Arc<Event>>,
    ) -> Result<Option<Arc<Event>>, RoomError> {
        match guard.check(current.and_then(|current| content::membership(current))) {
            Ok(true) => Ok(current.cloned()),
            Ok(false) => Ok(None),
            Err(_) if !self.is_joined(author.user).await? => Err(RoomError::not_in_room()),
            Err(refused) => Err(refused),
        }
    }

    /// Guests come only into rooms that let guests in (Matrix specification, Client-Server API, Guest Access).
    pub(super) async fn check_guest(&self, author: &Author, proposal: &Proposal) -> Result<(), RoomError> {
        let membership = text(&proposal.content, "membership").and_then(Membership::from_name);
        if !author.guest || proposal.event_type != "m.room.member" || membership != Some(Membership::Join) {
            return Ok(());
        }
        let access = self.current(&[key::GUEST_ACCESS]).await?.pop().flatten();
        if access.is_some_and(|access| content::lets_guests_in(&access)) {
            Ok(())
        } else {
            Err(RoomError::GuestsForbidden)
        }
    }

    /// Who wants no invitations is sent none (Matrix specification, Client-Server API, Invite permission). Asked after the rules of the
    /// room, so that only those learn of it who could have invited the user.
    pub(crate) async fn check_welcome(&self, author: &Author, event: &Event) -> Result<(), RoomError> {
        if event.event_type != TimelineEventType::RoomMember || content::membership(event) != Some(Membership::Invite) {
            return Ok(());
        }
        let target = event.state_key.as_deref().and_then(|target| UserId::parse(target).ok());
        let Some(target) = target else { return Ok(()) };
        match self.user(author, &target).await? {
            Some(user) if self.inner.accounts.blocks_invitations(user).await? => Err(RoomError::InviteBlocked),
            _ => Ok(()),
        }
    }

    /// `proposal` with what the server adds to it. `current` is the event that it will take the place of.
    ///
    /// # Errors
    /// `Forbidden`, `InvalidParam`, and the store's.
    pub(super) async fn complete<'p>(
        &mut self,
        author: &Author,
        proposal: &'p Proposal,
        current: Option<&Event>,
    ) -> Result<Cow<'p, Proposal>, RoomError> {
        match (proposal.event_type.as_str(), proposal.state_key.as_deref()) {
            ("m.room.member", Some(target)) => self.complete_member(author, proposal, target, current).await,
            ("m.room.power_levels", Some("")) => {
                self.check_power_levels(author, proposal).await?;
                Ok(Cow::Borrowed(proposal))
            }
            _ => Ok(Cow::Borrowed(proposal)),
        }
    }

    /// The one place where the server says something in a member event: who authorised a join, and name and picture of the user's
    /// profile.
    async fn complete_member<'p>(
        &mut self,
        author: &Author,
        proposal: &'p Proposal,
        target: &str,
        current: Option<&Event>,
    ) -> Result<Cow<'p, Proposal>, RoomError> {
        self.expect_account(author, proposal, target).await?;
        let mut completed = Cow::Borrowed(proposal);
        // What a client says of that is not heard.
        if proposal.content.contains_key(AUTHORISED_VIA) {
            completed.to_mut().content.remove(AUTHORISED_VIA);
        }
        let joins = text(&proposal.content, "membership") == Some(Membership::Join.name()) && author.user_id == target;
        let may_already = matches!(
            current.and_then(content::membership),
            Some(Membership::Join | Membership::Invite | Membership::Ban)
        );
        if joins
            && !may_already
            && let Some(via) = self.authorised_via(author).await?
        {
            completed.to_mut().content.insert(AUTHORISED_VIA.to_owned(), via.as_str().into());
        }
        self.name_member(author, &mut completed, target, current).await?;
        Ok(completed)
    }

    /// Nobody whose account has ended is in a room, or about to be. The batch asserts the account's row: a deactivation that comes first
    /// refuses this event, and one that comes later finds what it makes of the user, and undoes it.
    async fn expect_account(&mut self, author: &Author, proposal: &Proposal, target: &str) -> Result<(), RoomError> {
        let membership = text(&proposal.content, "membership").and_then(Membership::from_name);
        if !matches!(membership, Some(Membership::Join | Membership::Invite | Membership::Knock)) {
            return Ok(());
        }
        let Ok(target) = UserId::parse(target) else { return Ok(()) };
        let Some(user) = self.user(author, &target).await? else { return Ok(()) };
        if self.inner.accounts.expect_active(&mut self.batch, user).await? {
            return Ok(());
        }
        Err(RoomError::forbidden(format!("The account of {target} is deactivated.")))
    }

    /// By whose power a user without an invitation may join a restricted room; `None` where the room is not restricted.
    async fn authorised_via(&self, author: &Author) -> Result<Option<OwnedUserId>, RoomError> {
        let rule = self.current(&[key::JOIN_RULES]).await?.pop().flatten();
        let Some(rooms) = JoinRule::of(rule.as_deref()).restricted_to(&self.rules.authorization) else {
            return Ok(None);
        };
        if !self.is_in_one_of(author.user, &rooms).await? {
            return Err(RoomError::forbidden(
                "Only members of certain other rooms may join this one without an invitation. You are in none of them.",
            ));
        }
        let via = self.who_may_invite().await?;
        let via =
            via.ok_or_else(|| RoomError::forbidden("Nobody of this server who is in the room may invite others."))?;
        Ok(Some(via))
    }

    async fn is_in_one_of(&self, user: u64, rooms: &[ruma::OwnedRoomId]) -> Result<bool, RoomError> {
        let mut keys: Vec<Key> = Vec::new();
        for room_id in rooms.iter().take(limits::JOIN_RULE_ROOMS) {
            if let Some(room) = self.inner.names.by_id(room_id).await? {
                keys.push(USER_ROOMS.key(user).u64(room.short).key());
            }
        }
        if keys.is_empty() {
            return Ok(false);
        }
        let found = self.inner.store.get_many(&USER_ROOMS, &keys).await?;
        Ok(found.into_iter().flatten().any(|found| found.row.membership == Membership::Join))
    }

    /// A user of this server who is in the room and may invite.
    async fn who_may_invite(&self) -> Result<Option<OwnedUserId>, RoomError> {
        let mut events = self.current(&[key::CREATE, key::POWER_LEVELS]).await?.into_iter();
        let (create, stated) = (events.next().flatten(), events.next().flatten());
        let Some(create) = create else { return Ok(None) };
        let rules = &self.rules.authorization;
        let Some(levels) = power::levels(&create, stated.as_deref(), rules) else { return Ok(None) };
        let mut candidates = power::creators(rules, &create);
        candidates.extend(levels.users.keys().cloned());
        candidates.retain(|user_id| user_id.server_name() == self.inner.server_name && levels.user_can_invite(user_id));
        for user_id in candidates.into_iter().take(limits::JOIN_AUTHORISING_USERS) {
            if let Some(user) = self.inner.accounts.user_short_id(&user_id).await?
                && self.is_joined(user).await?
            {
                return Ok(Some(user_id));
            }
        }
        if levels.users_default >= levels.invite {
            return self.any_member(|user_id| levels.user_can_invite(user_id)).await;
        }
        Ok(None)
    }

    async fn is_joined(&self, user: u64) -> Result<bool, RoomError> {
        let event = self.current(&[key::member(user)]).await?.pop().flatten();
        Ok(event.as_deref().and_then(content::membership) == Some(Membership::Join))
    }

    /// The first local member for whom `may` holds.
    async fn any_member(&self, may: impl Fn(&UserId) -> bool + Send) -> Result<Option<OwnedUserId>, RoomError> {
        let mut rest = Some(ScanRange::scope(MEMBERS.id(), self.room));
        while let Some(range) = rest {
            let (rows, resume) =
                self.inner.store.scan(&MEMBERS, &range, PageLimit::rows(limits::JOIN_AUTHORISING_USERS)).await?;
            for found in rows.into_iter().filter(|found| found.row.membership == Membership::Join) {
                let Ok(user_id) = UserId::parse(found.row.user_id.as_str()) else { continue };
                // Who has left in a batch that is queued is not in the room any more.
                if may(&user_id)
                    && let Some(user) = KeyReader::new(&found.key).u64()
                    && self.is_joined(user).await?
                {
                    return Ok(Some(user_id));
                }
            }
            rest = resume.map(|resume| range.resumed(resume));
        }
        Ok(None)
    }

    /// Since version 12 creators stand above all levels and must not be listed: a request that does so is malformed, whoever
    /// makes it.
    async fn check_power_levels(&self, author: &Author, proposal: &Proposal) -> Result<(), RoomError> {
        let rules = &self.rules.authorization;
        let Some(CanonicalJsonValue::Object(users)) = proposal.content.get("users") else { return Ok(()) };
        // Who is not in the room is not told who made it.
        if !rules.explicitly_privilege_room_creators || users.is_empty() || !self.is_joined(author.user).await? {
            return Ok(());
        }
        let Some(create) = self.current(&[key::CREATE]).await?.pop().flatten() else { return Ok(()) };
        match power::creators(rules, &create).into_iter().find(|creator| users.contains_key(creator.as_str())) {
            None => Ok(()),
            Some(creator) => Err(RoomError::InvalidParam(format!(
                "{creator} made the room and has all power in it: the power levels must not list them."
            ))),
        }
    }
}
