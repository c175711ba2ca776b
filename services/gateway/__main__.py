"""`python -m services.gateway`: runs the service until a signal comes."""

from services.gateway.app import SERVICE
from services.kernel.process import main

if __name__ == "__main__":
    main(SERVICE)
