"""Notifier: reads `windows`, `reminders`, `acknowledgements`; decides whom to tell; emits `alerts` and disclosures."""
