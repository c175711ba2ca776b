"""The contract: every event, topic and rule that a lab, an agency or a service must agree on.

One module a family of events. What anyone outside Python needs (JSON Schema, `topics.yaml`, examples) is generated
from here by `make schemas`.
"""
