"""How the read model's tables came to be, step by step."""
