"""Where events come from: each source yields batches of events with their positions."""
