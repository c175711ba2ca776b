"""`python -m services.notifier`: runs the service until a signal comes."""

from services.kernel.process import main
from services.notifier.app import SERVICE

if __name__ == "__main__":
    main(SERVICE)
