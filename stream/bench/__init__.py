"""The benchmarks: what the program does in a second, each beside its peers in the same run.

One module each, with one function that returns a dictionary of figures: `text.run_text`, `fraud.run_fraud`,
`stream.run_stream`, `latency.run_latency`, `subscribe.run_subscribe`, `state.run_state`; `table.render` shows one to people. On a shared machine only the
ratios within a run mean something; `docs/performance.md` says what was measured.

Nothing is imported here: a contender's process must not load, and count as its own, what it does not use."""
