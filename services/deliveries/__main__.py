"""`python -m services.deliveries`: runs the service until a signal comes."""

from services.deliveries.app import SERVICE
from services.kernel.process import main

if __name__ == "__main__":
    main(SERVICE)
