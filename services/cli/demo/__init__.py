"""`herald demo`: the main job on a real Kafka, thirty days in thirty seconds, checked by an independent reader."""
