"""Deliveries: reads `deliveries`; tells people by webhook, e-mail and chat; emits `delivery-outcomes`."""
