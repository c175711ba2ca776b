"""The operators' page: who has been told, who has answered, what is next. Served by the door under `/console`."""
