"""The model server: every production model of the registry over gRPC, in the Open Inference Protocol v2.

Read in this order: ``scoring`` (an estimator's answer as tensors), ``scorers`` (who answers for a version: the
estimator, or ``onnx_runtime`` for it), ``models`` (which versions are loaded, and how a promotion reaches them),
``requests`` (a protocol request to a matrix and back), ``servicer`` (the protocol's calls), ``server`` (the process).
Who may ask: ``settings`` (what is asked for), ``tls``, ``tokens``; ``watched`` reads their files again when they are
renewed.
"""
