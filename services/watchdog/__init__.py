"""Watchdog: sends a release of Herald's own the whole way, over and over, and tells agencies that it came through."""
