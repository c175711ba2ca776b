"""Text as a lab might write it that wants to be more than text."""

from hypothesis import strategies as st

MARK = "zqxj"
_PIECES = (
    "\r\n",
    "\n",
    "\r\nX-Injected: yes",
    "\r\n\r\nHTTP/1.1 200 OK",
    "\0",
    "\x1b[31m",
    "<script>alert(1)</script>",
    "<b>",
    "&lt;",
    "<!channel>",
    "<https://evil.example|here>",
    "@all",
    "*bold*",
    "_it_",
    "[here](https://evil.example)",
    "`code`",
    "| a | b |",
    '"}',
    "{{ 7 * 7 }}",
    "\u202e",
    "\u2066",
    "\u200f",
    "\ufeff",
    "💥",
    "é",
)
HOSTILE = st.lists(st.sampled_from(_PIECES) | st.text(max_size=8), max_size=8).map(lambda each: MARK + MARK.join(each))
