//! Settings: Kafka's names, defaults and checks.
