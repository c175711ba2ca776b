"""`python -m services.watchdog`: watches until a signal comes.

Exit codes: 0 ended as told, 1 failed, 2 settings that cannot work.
"""

from services.watchdog.app import main

if __name__ == "__main__":
    main()
