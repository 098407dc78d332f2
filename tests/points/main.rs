//! Processes that die at each named point of the engine, and others that go on.
//!
//! `SEED` decides where and when; `TORTURE_SECONDS` is for the long version.

#![allow(clippy::unwrap_used)]
// The points are only there in builds with debug assertions.
#![cfg(debug_assertions)]

mod ledger;
mod places;
mod probe;
mod reader;
mod stage;
mod stops;
#[path = "../support/mod.rs"]
mod support;
mod worker;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use brokerless::env::random;

use places::{PLACES, Place, Scene};
use probe::prober;
use reader::reader;
use stage::Stage;
use support::{Dice, loud};
use worker::worker;

support::roles!(worker, reader, prober);

/// How often a process may live on before the point counts as one that nobody comes to.
const TRIES: usize = 8;

fn given<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn seed() -> u64 {
    loud();
    let seed = given("SEED").unwrap_or_else(|| random::u128() as u64);
    println!("SEED={seed}");
    seed
}

/// Deaths by point, and what else there is to tell.
#[derive(Debug, Default)]
struct Count {
    deaths: BTreeMap<&'static str, u64>,
    survivors: u64,
    records: u64,
}

impl Count {
    fn add(&mut self, stage: Stage) {
        for (name, deaths) in stage.deaths {
            *self.deaths.entry(name).or_default() += deaths;
        }
        self.survivors += stage.survivors;
        self.records += stage.records;
    }

    fn report(&self) {
        let Self { deaths, survivors, records } = self;
        let (all, points) = (deaths.values().sum::<u64>(), deaths.len());
        println!("{all} deaths at {points} points, {survivors} survivors, {records} records");
    }
}

/// Each place once, in any order within its scene: to change the scene takes time.
fn in_some_order(dice: &mut Dice) -> Vec<Place> {
    let rank = |place: &Place| match place.scene {
        Scene::Crowd => 0,
        Scene::After(_) => 1,
        Scene::Alone | Scene::AllDied | Scene::Torn => 2,
    };
    let mut places: Vec<_> = PLACES.iter().map(|place| (dice.roll(), *place)).collect();
    places.sort_unstable_by_key(|(roll, place)| (rank(place), *roll));
    places.into_iter().map(|(_, place)| place).collect()
}

/// Each point has its deaths.
fn round(seed: u64, count: &mut Count) {
    let mut dice = Dice::new(seed);
    let places = in_some_order(&mut dice);
    for expire in [false, true] {
        let mut stage = Stage::new(dice.roll(), expire);
        for place in places.iter().filter(|place| (place.focus == "expire") == expire) {
            let died = (0..TRIES).any(|_| stage.play(place));
            assert!(died, "nobody comes to {}; SEED={seed}", place.name);
        }
        stage.check();
        count.add(stage);
    }
}

#[test]
fn whoever_dies_at_whatever_point_loses_and_repeats_nothing() {
    let mut count = Count::default();

    round(seed(), &mut count);

    count.report();
    assert_eq!(count.deaths.len(), PLACES.len());
}

#[test]
#[ignore = "takes minutes: `make torture`"]
fn torture_whoever_dies_at_whatever_point_loses_and_repeats_nothing() {
    let seed = seed();
    let end = Instant::now() + Duration::from_secs(given("TORTURE_SECONDS").unwrap_or(60));
    let mut count = Count::default();
    for number in 0.. {
        if number > 0 && Instant::now() >= end {
            break;
        }
        round(seed.wrapping_add(number), &mut count);
        count.report();
    }
}
