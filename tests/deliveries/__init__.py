"""Tests of the deliveries service: its guard, its channels and its decider, on servers of the tests' own."""
