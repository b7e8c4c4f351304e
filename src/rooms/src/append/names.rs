//! Name and picture of a user in their member events (Matrix specification, Client-Server API, Events on Change of Profile
//! Information).

use std::borrow::Cow;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, UserId};
use wardstead_accounts::Names;
use wardstead_engine::Position;

use crate::{
    Event, Membership, RoomError,
    event::{
        build::Proposal,
        content::{canonical, text},
    },
    membership::Guard,
    tables::USER_ROOMS,
};

use super::{Author, Build};

const DISPLAYNAME: &str = "displayname";
const AVATAR_URL: &str = "avatar_url";

/// What a member event says of its own sending, and not of the user: it is not said again with a new name.
const OF_ITS_OWN: [&str; 3] = ["reason", "is_direct", "third_party_invite"];

impl Build<'_> {
    /// Puts the name and the picture of `target`'s profile into a join, an invitation or a knock: where the client says nothing of
    /// them, or where they are what the event is about.
    ///
    /// The batch asserts that the profile is what was read. So a change of the profile comes before this event, which is then built
    /// again with it, or after it, and then the room is one of those that are told.
    pub(super) async fn name_member(
        &mut self,
        author: &Author,
        proposal: &mut Cow<'_, Proposal>,
        target: &str,
        current: Option<&Event>,
    ) -> Result<(), RoomError> {
        let membership = text(&proposal.content, "membership").and_then(Membership::from_name);
        if !matches!(membership, Some(Membership::Join | Membership::Invite | Membership::Knock)) {
            return Ok(());
        }
        let renewed = proposal.guard == Some(Guard::Renew);
        let said = |field| proposal.content.contains_key(field);
        if !renewed && said(DISPLAYNAME) && said(AVATAR_URL) {
            return Ok(());
        }
        let Ok(target) = UserId::parse(target) else { return Ok(()) };
        let Some(user) = self.user(author, &target).await? else { return Ok(()) };
        let Some(names) = self.inner.accounts.names(&[user]).await?.pop() else { return Ok(()) };
        names.assert(&mut self.batch);
        match current.filter(|_| renewed) {
            Some(current) => {
                let since = self.member_since(user).await?;
                proposal.to_mut().content = renew(canonical(&current.content)?, &names, since);
            }
            None => fill(proposal, &names),
        }
        Ok(())
    }

    /// When the member event of `user` came. One that is queued has no position yet; the caller has waited for it.
    async fn member_since(&self, user: u64) -> Result<Position, RoomError> {
        let found = self.inner.store.get(&USER_ROOMS, &USER_ROOMS.key(user).u64(self.room).key()).await?;
        Ok(found.map_or(Position::ZERO, |found| found.position()))
    }
}

/// Adds what `proposal` does not say.
fn fill(proposal: &mut Cow<'_, Proposal>, names: &Names) {
    for (field, value) in [(DISPLAYNAME, &names.displayname), (AVATAR_URL, &names.avatar_url)] {
        if let Some(value) = value
            && !proposal.content.contains_key(field)
        {
            proposal.to_mut().content.insert(field.to_owned(), value.as_str().into());
        }
    }
}

/// `content`, which a user's member event has `since` then, with what of `names` has changed afterwards. The same where that says so already:
/// what was said after the change was said knowing it.
fn renew(content: CanonicalJsonObject, names: &Names, since: Position) -> CanonicalJsonObject {
    let changed = names.changed;
    let mut renewed = content.clone();
    for (field, value, changed) in
        [(DISPLAYNAME, &names.displayname, changed.displayname), (AVATAR_URL, &names.avatar_url, changed.avatar_url)]
    {
        let changed = changed > since;
        match value {
            Some(value) if changed => {
                renewed.insert(field.to_owned(), CanonicalJsonValue::from(value.as_str()));
            }
            None if changed => drop(renewed.remove(field)),
            _ => {}
        }
    }
    if renewed == content {
        return content;
    }
    renewed.retain(|field, _| !OF_ITS_OWN.contains(&field.as_str()));
    renewed.remove(super::complete::AUTHORISED_VIA);
    renewed
}
