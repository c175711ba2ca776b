"""Gateway, Kafka edge: reads `releases.<lab>` and `acks.<agency>`, proves origin and form, emits `releases`, `acks`."""
