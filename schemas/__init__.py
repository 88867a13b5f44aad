"""Wire contracts: everything that crosses a topic."""
