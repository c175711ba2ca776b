"""The dashboards, written as Python and kept as the JSON that Grafana reads: see `__main__.py`."""
