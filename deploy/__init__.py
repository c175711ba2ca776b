"""What helps to deploy Herald; none of it is in the package."""
