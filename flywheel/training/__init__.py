"""Makes a candidate model from training rows and decides whether it may replace the champion. Stores nothing.

Read in this order: ``estimators`` (which scikit-learn model an algorithm is), ``fit``, ``holdout`` (what is kept for
evaluation), ``evaluate`` (both models on the same rows), ``gate`` (the decision) and ``train`` (all of it).
"""
