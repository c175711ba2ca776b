"""Ports for whoever is about to listen."""

from services.embedded.ports import free


def test_no_two_who_are_about_to_listen_are_given_one_port() -> None:
    assert len({free() for _ in range(2000)}) == 2000
