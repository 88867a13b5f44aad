"""The contenders that drain a backlog, one module each with the same three names: `NAME`, `WHAT` and `drain(job)`."""
