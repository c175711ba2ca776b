"""What holds for all tests: a property has no time to keep, since how long an example takes is the machine's affair."""

from hypothesis import settings

settings.register_profile("herald", deadline=None)
settings.load_profile("herald")
