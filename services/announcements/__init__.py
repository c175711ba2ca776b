"""Announcements: reads `releases`, decides what the lab's latest statement is, emits `announcements` and receipts."""
