"""Whether the service of this container is ready: exit 0, or 1 with what keeps it from being so.

Needs nothing beyond Python, and is the image's HEALTHCHECK. Where to ask: HERALD_HTTP_PORT, on this host.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException

SECONDS = 4.0


def main() -> int:
    """Asks /readyz once."""
    connection = HTTPConnection("127.0.0.1", int(os.environ.get("HERALD_HTTP_PORT", "8081")), timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        print(answer.read().decode(errors="replace").strip())
    except (OSError, HTTPException) as error:
        print(f"no answer: {error}", file=sys.stderr)
        return 1
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
