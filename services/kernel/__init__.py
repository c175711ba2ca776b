"""What every service stands on: exactly-once events, state, timers, clock, registry, settings, observation."""
