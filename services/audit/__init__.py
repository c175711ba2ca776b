"""Audit: derives from the topics alone who should have been told of what and reminded, and what differs from that.

It shares the contract with the services, and no rule of theirs: whom a release concerns is worked out here once more
from the design's text, so that a mistake in one place is seen from the other. Pure but for `reading` and `run`.
"""
