"""The read model: what the topics say, in a database, for those who ask over HTTP. Rebuilt from the topics at will."""
