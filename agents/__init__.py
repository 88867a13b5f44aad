"""Agents: pure decisions over batches of records."""
