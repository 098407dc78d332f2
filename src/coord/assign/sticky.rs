//! `AbstractStickyAssignor`: as even as can be, and after that as many partitions as can be stay
//! where they are. What members say they own comes first; it may be old, and contradict.

use std::collections::HashSet;

use super::constrained::Constrained;
use super::general::General;
use super::group::{Group, Targets};

/// What came out.
#[derive(Debug)]
pub(super) struct Sticky {
    pub(super) targets: Targets,
    /// Partitions that another member may still have than the one that gets them, where the
    /// algorithm knows.
    moving: Option<HashSet<usize>>,
}

impl Sticky {
    pub(super) fn assign(group: &Group<'_>) -> Self {
        let claims = Claims::new(group);
        if group.uniform {
            let (targets, moving) = Constrained::new(group).assign(&claims);
            return Self { targets, moving: Some(moving) };
        }
        Self { targets: General::new(group, claims).assign(), moving: None }
    }

    /// Takes what another member may still have from the one that gets it.
    pub(super) fn hold_back(&mut self, group: &Group<'_>) {
        let moving = self.moving.take().unwrap_or_else(|| moving(group, &self.targets));
        for list in &mut self.targets {
            list.retain(|partition| !moving.contains(partition));
        }
    }
}

/// The partitions whose new owner does not say that it has them, while somebody else does.
fn moving(group: &Group<'_>, targets: &Targets) -> HashSet<usize> {
    let owned: Vec<HashSet<usize>> =
        group.members.iter().map(|member| member.owned.iter().copied().collect()).collect();
    let claimed: HashSet<usize> = owned.iter().flatten().copied().collect();
    let news = targets.iter().zip(&owned);
    let news =
        news.flat_map(|(list, own)| list.iter().filter(|partition| !own.contains(partition)));
    news.copied().filter(|partition| claimed.contains(partition)).collect()
}

/// What members own, so far as they do not contradict each other.
#[derive(Debug)]
pub(super) struct Claims {
    /// Of each member.
    pub(super) owned: Targets,
    /// Partitions that two members claim in one generation: nobody has these.
    pub(super) disputed: HashSet<usize>,
}

impl Claims {
    fn new(group: &Group<'_>) -> Self {
        let mut claims = Self { owned: group.no_targets(), disputed: HashSet::new() };
        let mut owners = vec![None; group.len()];
        for &member in &group.hashed {
            for &partition in &group.members[member].owned {
                claims.weigh(group, partition, member, &mut owners[partition]);
            }
        }
        claims
    }

    /// `member` says that it owns `partition`, which `owner` has said before. The newer generation
    /// is right; of two in the same none is.
    fn weigh(
        &mut self,
        group: &Group<'_>,
        partition: usize,
        member: usize,
        owner: &mut Option<usize>,
    ) {
        let generation = |member: usize| group.members[member].generation;
        if let Some(other) = *owner {
            if generation(member) < generation(other) {
                return;
            }
            remove(&mut self.owned[other], partition);
        }
        match *owner {
            Some(other) if generation(other) == generation(member) => {
                self.disputed.insert(partition);
            }
            _ => self.owned[member].push(partition),
        }
        *owner = Some(member);
    }
}

/// Removes the first of those equal to `partition`.
pub(super) fn remove(list: &mut Vec<usize>, partition: usize) {
    if let Some(at) = list.iter().position(|&other| other == partition) {
        list.remove(at);
    }
}
