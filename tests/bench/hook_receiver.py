"""A webhook receiver that does nothing but count: `python -m tests.bench.hook_receiver`, until it is killed.

Prints its port; `GET /` answers with how many POSTs came, and the seconds from the first to the last of them;
`DELETE /` too, and begins to count anew.
"""

import asyncio
import json
import sys
import time


class Count:
    """Arrivals since it was last asked."""

    def __init__(self) -> None:
        self.came, self.first, self.last = 0, 0.0, 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            if head.startswith((b"GET", b"DELETE")):
                told = json.dumps({"came": self.came, "seconds": self.last - self.first}).encode()
                self.came = 0 if head.startswith(b"DELETE") else self.came
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
                continue
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            self.last = time.monotonic()
            self.first = self.last if not self.came else self.first
            self.came += 1
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def main() -> None:
    """Serves for ever."""
    server = await asyncio.start_server(Count().serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
