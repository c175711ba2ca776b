"""The HTTP door: labs speak, agencies read and answer, without Kafka. It writes to the edge topics, and CIs' tokens."""
