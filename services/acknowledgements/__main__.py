"""`python -m services.acknowledgements`: runs the service until a signal comes."""

from services.acknowledgements.app import SERVICE
from services.kernel.process import main

if __name__ == "__main__":
    main(SERVICE)
