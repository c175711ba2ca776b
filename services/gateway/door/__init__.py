"""The HTTP door: labs speak and agencies read and answer, without knowing Kafka. It writes to the edge topics alone."""
