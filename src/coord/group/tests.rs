use std::time::Duration;

use super::*;
use crate::coord::schema;

fn two(topic: &str) -> Option<i32> {
    (topic != "none").then_some(2)
}

pub(super) fn joining(topics: &[&str], strategies: &[&str]) -> Joining {
    let strategy = |name: &&str| Strategy {
        name: (*name).to_owned(),
        own: name.starts_with("own"),
        user_data: Vec::new(),
    };
    Joining {
        client_id: "c".into(),
        instance_id: None,
        process: Process { pid: 7, namespace: 1 },
        slot: 3,
        bell: 5,
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        strategies: strategies.iter().map(strategy).collect(),
        cooperative: strategies.iter().all(|name| name.starts_with("cooperative")),
        session_timeout: Duration::from_secs(45),
        rebalance_timeout: Duration::from_mins(5),
    }
}

fn eager() -> Joining {
    joining(&["t"], &["range"])
}

fn cooperative() -> Joining {
    joining(&["t"], &["cooperative-sticky"])
}

fn named(instance: &str) -> Joining {
    Joining { instance_id: Some(instance.to_owned()), ..eager() }
}

fn t(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// Lets everybody do what is next until nothing is left to do.
fn settle(state: &mut State) {
    loop {
        let uids: Vec<Uid> = state.members().map(|(uid, _)| uid).collect();
        let mut idle = true;
        for uid in uids {
            match state.next(uid, None) {
                Next::Release(partitions) => {
                    state.release(uid, &partitions);
                    idle = false;
                }
                Next::Take(_) => {
                    state.take(uid).unwrap();
                    idle = false;
                }
                _ => {}
            }
        }
        if idle {
            return;
        }
    }
}

fn settled(members: impl IntoIterator<Item = Joining>) -> (State, Vec<Uid>) {
    let mut state = State::after(0);
    let uids = members.into_iter().map(|m| state.join(m, &two).unwrap()).collect();
    settle(&mut state);
    (state, uids)
}

#[test]
fn a_first_member_gets_everything_after_it_released_nothing() {
    let mut state = State::after(4);

    let uid = state.join(eager(), &two).unwrap();

    assert_eq!(state.generation(), 5);
    assert_eq!(state.next(uid, None), Next::Release(vec![]));
    state.release(uid, &[]);
    assert_eq!(state.next(uid, None), Next::Take(vec![t(0), t(1)]));
    assert_eq!(state.take(uid).unwrap(), [t(0), t(1)]);
    assert_eq!(state.next(uid, None), Next::Stable);
    assert_eq!(state.phase(), Phase::Stable);
}

#[test]
fn eager_members_take_nothing_before_all_have_released() {
    let (mut state, uids) = settled([eager()]);
    let old = uids[0];

    let new = state.join(eager(), &two).unwrap();
    state.release(new, &[]);

    assert_eq!(state.next(new, None), Next::Wait);
    assert_eq!(state.take(new), None);
    assert_eq!(state.next(old, None), Next::Release(vec![t(0), t(1)]));
    state.release(old, &[t(1)]);
    // What it is to have is free already, but not all have released.
    assert_eq!(state.next(new, None), Next::Wait);
    state.release(old, &[t(0)]);
    assert_eq!(state.next(new, None), Next::Take(vec![t(1)]));
    assert_eq!(state.next(old, None), Next::Take(vec![t(0)]));
}

#[test]
fn a_cooperative_member_keeps_what_does_not_move() {
    let (mut state, uids) = settled([cooperative()]);
    let old = uids[0];

    let new = state.join(cooperative(), &two).unwrap();

    let Next::Release(goes) = state.next(old, None) else { panic!("nothing goes") };
    assert_eq!(goes.len(), 1);
    // The new one has nothing to take yet, and does not wait for the old one to say so.
    assert_eq!(state.take(new), Some(vec![]));
    assert_eq!(state.next(new, None), Next::Wait);
    state.release(old, &goes);
    assert_eq!(state.next(new, None), Next::Take(goes.clone()));
    state.take(new).unwrap();
    state.take(old).unwrap();
    assert_eq!(state.phase(), Phase::Stable);
    assert_eq!(state.owned(new), goes);
}

#[test]
fn the_partitions_of_one_that_is_gone_go_to_the_others() {
    let (mut state, uids) = settled([eager(), eager()]);
    let before = state.generation();

    assert!(state.remove(uids[0], &two));

    assert!(state.generation() > before);
    assert_eq!(state.next(uids[0], None), Next::Gone(Gone::Evicted));
    settle(&mut state);
    assert_eq!(state.owned(uids[1]), [t(0), t(1)]);
    assert!(!state.remove(uids[0], &two));
}

#[test]
fn a_group_that_all_have_left_is_empty() {
    let (mut state, uids) = settled([eager()]);
    let before = state.generation();

    state.remove(uids[0], &two);

    assert_eq!(state.phase(), Phase::Empty);
    assert!(state.generation() > before);
    assert_eq!(state.strategy(), None);
    assert_eq!(state.may_commit_alone(), Ok(()));
}

#[test]
fn only_the_owner_commits() {
    let (mut state, uids) = settled([eager(), eager()]);

    assert_eq!(state.may_commit(uids[0], None, [&t(0)]), Ok(()));
    assert_eq!(state.may_commit(uids[0], None, [&t(1)]), Err(Refused::NotOwner(t(1))));
    assert_eq!(state.may_commit(99, None, [&t(0)]), Err(Refused::Unknown));
    assert_eq!(state.may_commit_alone(), Err(Refused::NotEmpty));

    // A rebalance has begun: what is still owned may still be committed.
    let third = state.join(eager(), &two).unwrap();
    assert_eq!(state.may_commit(uids[0], None, [&t(0)]), Ok(()));
    state.release(uids[0], &[t(0)]);
    assert_eq!(state.may_commit(uids[0], None, [&t(0)]), Err(Refused::Rebalancing));
    assert_eq!(state.may_commit(third, None, []), Ok(()));
}

#[test]
fn a_static_member_that_restarts_moves_nothing() {
    let (mut state, uids) = settled([named("a"), named("b")]);
    let generation = state.generation();
    let target = state.owned(uids[0]);

    let again = state.join(named("a"), &two).unwrap();
    settle(&mut state);

    assert_eq!(state.generation(), generation);
    assert_eq!(state.owned(again), target);
    assert_eq!(state.next(uids[0], Some("a")), Next::Gone(Gone::Fenced("a".into())));
    let refused = state.may_commit(uids[0], Some("a"), [&target[0]]);
    assert_eq!(refused, Err(Refused::Fenced("a".into())));
}

#[test]
fn a_static_member_that_wants_something_else_begins_a_generation() {
    let (mut state, _) = settled([named("a"), named("b")]);
    let generation = state.generation();

    let other = Joining { topics: vec!["u".into()], ..named("a") };
    state.join(other, &two).unwrap();

    assert!(state.generation() > generation);
}

#[test]
fn a_member_without_a_common_strategy_is_refused() {
    let (mut state, _) = settled([eager()]);
    let before = state.clone();

    let refused = state.join(joining(&["t"], &["roundrobin"]), &two);

    assert_eq!(refused, Err(Refused::NoCommonStrategy));
    assert_eq!(state, before);
}

#[test]
fn most_votes_decide_among_the_strategies_that_all_have() {
    let both = || joining(&["t"], &["roundrobin", "range"]);
    let other = || joining(&["t"], &["own", "range", "roundrobin"]);

    assert_eq!(settled([both(), other(), both()]).0.strategy(), Some("roundrobin"));
    assert_eq!(settled([both(), other(), other()]).0.strategy(), Some("range"));
    assert_eq!(settled([both(), other()]).0.strategy(), Some("roundrobin"));
}

#[test]
fn a_subscription_or_a_topic_that_changes_begins_a_generation() {
    let (mut state, uids) = settled([eager()]);
    let generation = state.generation();
    let range = || joining(&[], &["range"]).strategies;

    state.resubscribe(uids[0], vec!["t".into()], range(), &two).unwrap();
    state.refresh(&two);
    assert_eq!(state.generation(), generation);

    state.resubscribe(uids[0], vec!["t".into(), "none".into()], range(), &two).unwrap();
    assert_eq!(state.generation(), generation + 1);
    state.refresh(&|_| Some(3));
    assert_eq!(state.generation(), generation + 2);
    settle(&mut state);
    assert_eq!(state.owned(uids[0]).len(), 6);
}

#[test]
fn the_leaders_own_strategy_shares_out_for_all() {
    let own = || joining(&["t"], &["own"]);
    let (mut state, uids) = settled([own(), own()]);
    let Next::Assign(task) = state.next(uids[0], None) else { panic!("no task") };
    assert_eq!(state.next(uids[1], None), Next::Wait);
    assert_eq!(task.partitions["t"], 2);
    let ids: Vec<_> = task.members.iter().map(|member| member.member_id.clone()).collect();

    let all = vec![(ids[1].clone(), vec![t(1), t(0)].into())];
    state.assign(uids[0], task.generation, all).unwrap();
    settle(&mut state);

    assert_eq!(state.owned(uids[1]), [t(0), t(1)]);
    assert_eq!(state.phase(), Phase::Stable);
}

fn target(partition: i32, user_data: &[u8]) -> Target {
    Target { partitions: vec![t(partition)], user_data: user_data.to_vec() }
}

/// What members have been told by the strategy that shared out for them.
fn user_data(state: &State) -> Vec<&[u8]> {
    state.members().map(|(_, member)| &*member.target.user_data).collect()
}

/// A group of two whose leader has said something to each of them.
fn told() -> (State, Vec<Uid>) {
    let own = |instance: &str| Joining {
        instance_id: Some(instance.to_owned()),
        ..joining(&["t"], &["own", "range"])
    };
    let (mut state, uids) = settled([own("a"), own("b")]);
    let Next::Assign(task) = state.next(uids[0], None) else { panic!("no task") };
    let ids = task.members.iter().map(|member| member.member_id.clone());
    let targets = ids.zip([target(0, b"to the first"), target(1, b"\xff")]).collect();
    state.assign(uids[0], task.generation, targets).unwrap();
    settle(&mut state);
    (state, uids)
}

#[test]
fn what_an_own_strategy_says_to_a_member_is_the_members_in_every_process() {
    let (state, _) = told();

    let read = State::decode(&state.encode()).unwrap();

    assert_eq!(user_data(&read), [&b"to the first"[..], b"\xff"]);
}

#[test]
fn what_an_own_strategy_says_to_a_member_is_noted_with_its_partitions() {
    let (state, _) = told();

    let noted = state.metadata(0);

    let said = target(1, b"\xff");
    let (partitions, user_data) = (said.partitions, Some(said.user_data));
    let assignment = schema::encode_assignment(&schema::Assignment { partitions, user_data });
    assert_eq!(noted.members[1].assignment, assignment);
}

#[test]
fn what_an_own_strategy_said_is_over_when_kafkas_shares_out() {
    let (mut state, uids) = told();

    state.remove(uids[0], &two);
    let strategies = eager().strategies;
    state.resubscribe(uids[1], vec!["t".into()], strategies, &two).unwrap();
    settle(&mut state);

    assert_eq!(state.owned(uids[1]), [t(0), t(1)]);
    assert_eq!(user_data(&state), [b""]);
}

#[test]
fn nonsense_of_an_own_strategy_is_refused_and_changes_nothing() {
    let (mut state, uids) = settled([joining(&["t"], &["own"])]);
    let id = state.member(uids[0]).unwrap().member_id.clone();
    let generation = state.generation();
    let before = state.clone();

    for nonsense in [
        vec![("stranger".to_owned(), vec![t(0)])],
        vec![(id.clone(), vec![t(0), t(0)])],
        vec![(id.clone(), vec![t(2)])],
        vec![(id.clone(), vec![TopicPartition::new("u", 0)])],
        vec![(id.clone(), vec![]), (id.clone(), vec![])],
    ] {
        let nonsense = nonsense.into_iter().map(|(id, partitions)| (id, partitions.into()));
        let refused = state.assign(uids[0], generation, nonsense.collect());
        assert!(matches!(refused, Err(Refused::Nonsense(_))));
    }
    // Too late: the generation is over.
    state.assign(uids[0], generation - 1, vec![(id, vec![t(0)].into())]).unwrap();

    assert_eq!(state, before);
}

/// A group of two with a cooperative strategy of the user's; the first has everything.
fn own_cooperative() -> (State, Vec<Uid>) {
    let own = || Joining { cooperative: true, ..joining(&["t"], &["own"]) };
    let (mut state, mut uids) = settled([own()]);
    share(&mut state, &[(uids[0], &[0, 1])]);
    uids.push(state.join(own(), &two).unwrap());
    (state, uids)
}

/// The leader shares out, and everybody follows.
fn share(state: &mut State, targets: &[(Uid, &[i32])]) {
    let target = |&(uid, numbers): &(Uid, &[i32])| {
        let id = state.member(uid).unwrap().member_id.clone();
        (id, numbers.iter().copied().map(t).collect::<Vec<_>>().into())
    };
    let targets = targets.iter().map(target).collect();
    let leader = state.leader().unwrap();
    state.assign(leader, state.generation, targets).unwrap();
    settle(state);
}

#[test]
fn an_own_strategy_that_holds_back_what_moves_is_asked_again() {
    let (mut state, uids) = own_cooperative();
    let generation = state.generation;

    share(&mut state, &[(uids[0], &[0])]);

    assert_eq!(state.generation, generation + 1);
    let Next::Assign(task) = state.next(uids[0], None) else { panic!("it is asked again") };
    assert_eq!(task.members[0].owned, [t(0)]);
    share(&mut state, &[(uids[0], &[0]), (uids[1], &[1])]);
    assert_eq!((state.generation, state.owner(&t(1))), (generation + 1, Some(uids[1])));
}

#[test]
fn an_own_strategy_that_holds_nothing_back_is_asked_once() {
    let (mut state, uids) = own_cooperative();
    let generation = state.generation;

    share(&mut state, &[(uids[0], &[0]), (uids[1], &[1])]);

    assert_eq!((state.generation, state.owner(&t(1))), (generation, Some(uids[1])));
}

#[test]
fn kafkas_own_strategy_is_asked_once_also_if_nobody_wants_what_was_given_up() {
    let (mut state, uids) = settled([joining(&["t", "u"], &["cooperative-sticky"])]);
    let generation = state.generation;

    let strategies = cooperative().strategies;
    state.resubscribe(uids[0], vec!["t".into()], strategies, &two).unwrap();
    settle(&mut state);

    assert_eq!((state.generation, state.owned(uids[0])), (generation + 1, vec![t(0), t(1)]));
}

#[test]
fn a_leader_whose_strategy_failed_is_followed_by_the_next() {
    let own = || joining(&["t"], &["own"]);
    let (mut state, uids) = settled([own(), own()]);

    state.remove(uids[0], &two);
    settle(&mut state);

    assert!(matches!(state.next(uids[1], None), Next::Assign(_)));
}

#[test]
fn the_state_is_read_as_it_was_written() {
    let (mut state, uids) = settled([named("a"), eager(), eager()]);
    state.join(joining(&["t", "u"], &["range", "own"]), &two).unwrap();
    state.release(uids[1], &[t(1)]);
    let bytes = state.encode();

    assert_eq!(State::decode(&bytes), Some(state));
    for end in 0..bytes.len() {
        assert_eq!(State::decode(&bytes[..end]), None, "{end} bytes");
    }
    assert_eq!(State::decode(&[&bytes[..], &[0]].concat()), None);
}

/// A member with a doorbell of its own.
fn with_bell(bell: u64, joining: Joining) -> Joining {
    Joining { bell, ..joining }
}

#[test]
fn who_has_nothing_to_do_is_not_woken() {
    let (mut state, uids) = settled((1..=3).map(|bell| with_bell(bell, eager())));
    let step = |state: &mut State, change: &dyn Fn(&mut State)| {
        let before = state.clone();
        change(state);
        state.to_wake(&before).into_iter().collect::<Vec<_>>()
    };

    let left = step(&mut state, &|state| assert!(state.remove(uids[2], &two)));
    let first = step(&mut state, &|state| state.release(uids[0], &[t(0)]));
    let second = step(&mut state, &|state| state.release(uids[1], &[t(1)]));
    let taken = step(&mut state, &|state| drop(state.take(uids[0])));

    assert_eq!(left, [1, 2, 3]);
    assert_eq!(first, [0; 0], "the other has not released yet");
    assert_eq!(second, [1, 2]);
    assert_eq!(taken, [2], "the first has what it should");
}

#[test]
fn a_cooperative_member_is_woken_for_what_it_lacks() {
    let (mut state, uids) = settled([with_bell(1, cooperative())]);
    let new = state.join(with_bell(2, cooperative()), &two).unwrap();
    state.take(new).unwrap();
    let Next::Release(goes) = state.next(uids[0], None) else { panic!("nothing goes") };
    let before = state.clone();

    state.release(uids[0], &goes);

    assert_eq!(state.to_wake(&before).into_iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_leader_is_woken_when_its_own_strategy_may_begin() {
    let own = |bell| with_bell(bell, joining(&["t"], &["own"]));
    let mut state = State::after(0);
    let (leader, other) = (state.join(own(1), &two).unwrap(), state.join(own(2), &two).unwrap());
    state.release(leader, &[]);
    let before = state.clone();

    state.release(other, &[]);

    assert_eq!(state.to_wake(&before).into_iter().collect::<Vec<_>>(), [1]);
}
