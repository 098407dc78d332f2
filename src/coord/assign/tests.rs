//! What holds for any group. That the results are Kafka's is tested beside them, with its own.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

type Lists = BTreeMap<String, Vec<TopicPartition>>;

const TOPICS: [&str; 4] = ["a", "bills", "orders", "t"];

fn counts() -> impl Strategy<Value = BTreeMap<String, i32>> {
    prop::collection::btree_map(topic(), -1..12_i32, 0..5)
}

fn topic() -> impl Strategy<Value = String> {
    prop::sample::select(&TOPICS).prop_map(str::to_owned)
}

/// Members that want anything, and say anything about what they own.
fn members() -> impl Strategy<Value = Vec<Subscriber>> {
    let owned = (topic(), -1..13_i32).prop_map(|(topic, n)| TopicPartition::new(topic, n));
    let owned = prop::collection::vec(owned, 0..8);
    let member = (prop::option::of("[ij]"), prop::collection::vec(topic(), 0..5), owned, -1..3_i32);
    prop::collection::vec(member, 0..9).prop_map(|members| {
        let named = members.into_iter().enumerate();
        let named = named.map(|(at, (instance_id, topics, owned, generation))| Subscriber {
            member_id: format!("member-{at}"),
            instance_id,
            topics,
            owned,
            generation,
        });
        named.collect()
    })
}

/// Members that want the same, and own nothing.
fn alike(members: usize) -> Vec<Subscriber> {
    let member = |at| Subscriber {
        member_id: format!("member-{at}"),
        instance_id: None,
        topics: TOPICS.map(str::to_owned).to_vec(),
        owned: vec![],
        generation: -1,
    };
    (0..members).map(member).collect()
}

/// The members after they took what they were given.
fn after(members: &[Subscriber], lists: &Lists) -> Vec<Subscriber> {
    let took = members.iter().map(|member| Subscriber {
        owned: lists[&member.member_id].clone(),
        generation: 7,
        ..member.clone()
    });
    took.collect()
}

fn partitions(counts: &BTreeMap<String, i32>) -> impl Iterator<Item = TopicPartition> {
    let numbers = counts.iter().flat_map(|(topic, &count)| (0..count).map(move |n| (topic, n)));
    numbers.map(|(topic, number)| TopicPartition::new(topic.as_str(), number))
}

fn wants(member: &Subscriber, partition: &TopicPartition) -> bool {
    member.topics.iter().any(|topic| **topic == *partition.topic)
}

fn spread(lens: impl Iterator<Item = usize> + Clone) -> usize {
    lens.clone().max().unwrap_or(0) - lens.min().unwrap_or(0)
}

proptest! {
    #[test]
    fn every_partition_that_is_wanted_goes_to_one_who_wants_it(
        counts in counts(),
        members in members(),
    ) {
        for strategy in Builtin::ALL {
            let lists = assign(strategy, &counts, &members);

            prop_assert_eq!(lists.len(), members.len());
            for partition in partitions(&counts) {
                let owners: Vec<_> =
                    members.iter().filter(|m| lists[&m.member_id].contains(&partition)).collect();
                let wanted = members.iter().any(|member| wants(member, &partition));
                prop_assert_eq!(owners.len(), usize::from(wanted), "{:?} {}", strategy, partition);
                prop_assert!(owners.iter().all(|owner| wants(owner, &partition)));
            }
            let given = lists.values().flatten().count();
            let there: BTreeSet<_> = partitions(&counts).collect();
            let exist = lists.values().flatten().filter(|given| there.contains(given)).count();
            prop_assert_eq!(given, exist, "{:?}: only what exists", strategy);
        }
    }

    #[test]
    fn members_that_want_the_same_get_as_much(counts in counts(), members in 1..9_usize) {
        let members = alike(members);
        for strategy in [Builtin::RoundRobin, Builtin::Sticky] {
            let lists = assign(strategy, &counts, &members);
            prop_assert!(spread(lists.values().map(Vec::len)) <= 1, "{:?} {:?}", strategy, lists);
        }
        let lists = assign(Builtin::Range, &counts, &members);
        for topic in TOPICS {
            let of_topic = |list: &Vec<TopicPartition>| {
                list.iter().filter(|partition| &*partition.topic == topic).count()
            };
            prop_assert!(spread(lists.values().map(of_topic)) <= 1, "{} {:?}", topic, lists);
        }
    }

    #[test]
    fn no_move_makes_a_sticky_assignment_more_even(counts in counts(), members in members()) {
        let lists = assign(Builtin::Sticky, &counts, &members);

        for owner in &members {
            for partition in &lists[&owner.member_id] {
                for other in members.iter().filter(|member| wants(member, partition)) {
                    let (has, less) = (&lists[&owner.member_id], &lists[&other.member_id]);
                    prop_assert!(has.len() <= less.len() + 1, "{} of {:?}", partition, lists);
                }
            }
        }
    }

    #[test]
    fn what_is_sticky_stays_while_nothing_changes(counts in counts(), members in members()) {
        let lists = assign(Builtin::Sticky, &counts, &members);

        let again = assign(Builtin::Sticky, &counts, &after(&members, &lists));

        for (member, list) in &lists {
            let (list, again): (BTreeSet<_>, BTreeSet<_>) =
                (list.iter().collect(), again[member].iter().collect());
            prop_assert_eq!(list, again, "{}", member);
        }
    }

    #[test]
    fn who_stays_keeps_all_when_another_leaves(counts in counts(), members in 2..9_usize) {
        let members = alike(members);
        let before = assign(Builtin::Sticky, &counts, &members);

        let stay = &after(&members, &before)[1..];
        let lists = assign(Builtin::Sticky, &counts, stay);

        for Subscriber { member_id, owned, .. } in stay {
            prop_assert!(owned.iter().all(|partition| lists[member_id].contains(partition)));
        }
    }

    #[test]
    fn what_is_held_back_is_what_another_has(counts in counts(), members in members()) {
        let mut owned = after(&members, &assign(Builtin::RoundRobin, &counts, &members));
        for member in owned.iter_mut().skip(1) {
            member.topics.pop();
        }

        let lists = assign(Builtin::CooperativeSticky, &counts, &owned);
        let first = hold_back(&counts, &owned);

        for Subscriber { member_id, owned: own, .. } in &owned {
            for partition in &lists[member_id] {
                let others = owned.iter().any(|other| other.owned.contains(partition));
                let held = others && !own.contains(partition);
                prop_assert_eq!(!first[member_id].contains(partition), held, "{}", partition);
            }
            prop_assert!(first[member_id].iter().all(|p| lists[member_id].contains(p)));
        }
    }

    #[test]
    fn static_members_keep_their_ranges_under_new_member_ids(counts in counts()) {
        let mut members = alike(4);
        for (at, member) in members.iter_mut().enumerate() {
            member.instance_id = Some(format!("instance-{at}"));
        }
        let before = assign(Builtin::Range, &counts, &members);

        let mut restarted = members.clone();
        for (at, member) in restarted.iter_mut().enumerate() {
            member.member_id = format!("new-{}", 9 - at);
        }
        let lists = assign(Builtin::Range, &counts, &restarted);

        for (old, new) in members.iter().zip(&restarted) {
            prop_assert_eq!(&before[&old.member_id], &lists[&new.member_id]);
        }
    }
}

#[test]
fn names_are_kafkas() {
    let names = Builtin::ALL.map(Builtin::name);

    assert_eq!(names, ["range", "roundrobin", "sticky", "cooperative-sticky"]);
    assert_eq!(names.map(Builtin::from_name), Builtin::ALL.map(Some));
    assert_eq!(Builtin::from_name("Range"), None);
}
