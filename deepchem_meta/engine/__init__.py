"""How a meta-step runs: the only place that traces, compiles, saves and samples."""
