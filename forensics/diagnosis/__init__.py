"""Facts to causes: hypotheses weighed, what else changed at the onset, what was lost, the headline."""
