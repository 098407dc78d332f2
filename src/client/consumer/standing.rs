//! Where a consumer stands with its group, for those who ask, and what they may answer it.

use std::sync::Arc;
use std::time::Duration;

use crate::client::consumer::Consumer;
use crate::client::consumer::polled::Step;
use crate::coord::group::{Member, Next, Target};
use crate::engine::Membership;
use crate::engine::group::NO_MEMBER;
use crate::env::wake::Woken;
use crate::error::{Error, Result};

/// Where a consumer stands with its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its id in the group.
    pub member_id: String,
    /// The generation of its assignment; -1 before it has one.
    pub generation: i32,
    /// The strategy that the members agreed on.
    pub strategy: Option<String>,
    /// Whether it has what it should.
    pub is_stable: bool,
    /// What the strategy of the member that leads lets its own know.
    pub user_data: Vec<u8>,
}

impl Consumer {
    /// The membership that commits go by; `None` for who shares nothing.
    pub(super) fn membership(&self) -> Result<Option<Arc<Membership>>> {
        let state = self.state()?;
        let Some(group) = self.shares().filter(|_| state.subscription.is_automatic()) else {
            return Ok(None);
        };
        match state.member.membership() {
            Some(membership) => Ok(Some(membership)),
            None => Err(Error::CommitFailed { group: group.to_owned(), why: NO_MEMBER }),
        }
    }

    /// Where it stands with its group; `None` if it is no member.
    pub fn standing(&self) -> Result<Option<Standing>> {
        let Some(membership) = self.state()?.member.membership() else { return Ok(None) };
        let next = membership.next()?;
        if matches!(next, Next::Gone(_)) {
            return Ok(None);
        }
        let state = membership.group().state()?;
        let member = state.member(membership.uid());
        Ok(Some(Standing {
            member_id: membership.member_id().to_owned(),
            generation: member.map_or(-1, Member::generation),
            strategy: state.strategy().map(str::to_owned),
            is_stable: next == Next::Stable,
            user_data: member.map(|member| member.target.user_data.clone()).unwrap_or_default(),
        }))
    }

    /// Answers [`Step::Assign`]: what each member id is to own. Members left out get nothing.
    /// [`Error::InvalidAssignment`] for nonsense; then a poll asks again.
    pub fn assigned(&self, generation: i32, targets: Vec<(String, Target)>) -> Result<()> {
        let membership = self.state()?.member.membership();
        membership.map_or(Ok(()), |membership| membership.assign(generation, targets))
    }

    /// Notes what the user's own strategies say of this member, by their names: it goes to the
    /// member that leads.
    pub fn describe(&self, user_data: Vec<(String, Vec<u8>)>) -> Result<()> {
        let (membership, strategies) = {
            let mut state = self.state()?;
            if state.member.user_data == user_data {
                return Ok(());
            }
            state.member.user_data = user_data;
            (state.member.membership(), state.member.strategies(self))
        };
        match membership.map(|membership| membership.describe(strategies)) {
            // It ended; the next poll says so.
            None | Some(Ok(()) | Err(Error::CommitFailed { .. })) => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }

    /// What is to be announced before [`close`](Self::close) or
    /// [`unsubscribe`](Self::unsubscribe), after [`last_commit`](Self::last_commit):
    /// [`Step::Revoked`], or [`Step::Lost`] if the membership has ended already.
    pub fn farewell(&self) -> Result<Option<Step>> {
        let (all, membership) = {
            let state = self.state()?;
            let automatic = state.subscription.is_automatic();
            let all = if automatic { state.assignment.ids() } else { Vec::new() };
            (all, state.member.membership())
        };
        if all.is_empty() {
            return Ok(None);
        }
        let next = membership.map(|membership| membership.next()).transpose()?;
        let lost = matches!(next, Some(Next::Gone(_)));
        Ok(Some(if lost { Step::Lost(all) } else { Step::Revoked(all) }))
    }

    /// Takes the steps that [`poll`](Self::poll) would, but reads nothing. `None` when all is
    /// settled; [`Error::Timeout`] if that takes longer.
    pub fn settle(&self, timeout: Duration) -> Result<Option<Step>> {
        let deadline = self.now().saturating_add(timeout);
        loop {
            let seen = self.doorbell.value();
            let step = self.follow()?;
            if step.is_some() || self.state()?.member.is_settled(self) {
                return Ok(step);
            }
            let now = self.now();
            if now >= deadline {
                return Err(Error::Timeout { what: "the rebalance", after: timeout });
            }
            let until = self.waits_until()?.map_or(deadline, |begins| begins.min(deadline));
            if self.doorbell.wait(seen, until.saturating_sub(now)) == Woken::Interrupted {
                return Err(Error::Interrupted);
            }
        }
    }
}
