"""The trees of a fitted model as an ONNX file, from which ONNX Runtime sums them in less time, to the same bits.

Read in this order: ``trees`` (the trees of an ensemble as arrays), ``ensembles`` (which estimators have them),
``graph`` (the file), ``probes`` (rows at which a conversion goes wrong first), ``convert`` (converts, compares, and
says why not). The ``onnx`` package is imported by ``graph`` only, and by nothing that serves.
"""
