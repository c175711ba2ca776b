"""`python -m services.notifier`: runs the service until a signal comes."""

from services.notifier.app import SERVICE
from services.kernel.process import main

if __name__ == "__main__":
    main(SERVICE)
