"""Notifier: reads `windows`, `reminders`, answers and outcomes; decides whom to tell; emits `alerts`, `deliveries`."""
