"""Windows: reads `announcements`, decides when early access opens, is about to close and closes, emits `windows`."""
