//! Kafka record formats.
