"""Acknowledgements: reads `acks`, `alerts`, `windows`; decides what was answered and whom to chase; emits answers."""
