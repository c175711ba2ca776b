"""`python -m services.announcements`: runs the service until a signal comes."""

from services.announcements.app import SERVICE
from services.kernel.process import main

if __name__ == "__main__":
    main(SERVICE)
