"""Makes a candidate model from training rows and decides whether it may replace the champion. Stores nothing.

Read in this order: ``estimators`` (which scikit-learn model an algorithm is), ``fit``, ``holdout`` (what is kept for
evaluation), ``evaluate`` (both models on the same rows), ``gate`` (the decision) and ``train`` (all of it).
"""

import os

# Threads that wait by spinning take the cores they wait for: with another process on the same two cores a fit took 3.4
# times as long as on one thread, and 1.1 times with this. OpenMP reads it once, when scikit-learn is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
