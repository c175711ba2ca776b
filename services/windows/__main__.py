"""`python -m services.windows`: runs the service until a signal comes."""

from services.windows.app import SERVICE
from services.kernel.process import main

if __name__ == "__main__":
    main(SERVICE)
