"""Asking a model for predictions, and what happens when it does not answer.

Read in this order: ``tensors`` (Open Inference Protocol tensors and numpy), ``expected`` (what an answer must hold),
``model_info`` (what a server says of a model), ``health`` and ``breaker`` (when to stop asking), ``requests`` and
``client`` (many requests in flight, each with a deadline), ``answers`` (from tensors to the prediction), ``fallback``
(rows without one), ``predict`` (all of it for a batch), ``compatible`` (is it the model that the manifest describes).
"""
