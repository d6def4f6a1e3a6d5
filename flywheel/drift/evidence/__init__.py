"""Evidence of drift: p-values whose null is right at every size, and decisions that keep a stated rate of error."""
