"""Drift checks on a pipeline's tables; the statistics themselves are in ``flywheel.drift``.

``reference`` finds the baseline, ``profiles`` turns a batch into counts, ``window`` picks and sums the profiles of a
window, ``sample`` picks rows of it, ``joint`` asks those what features show together, ``decision`` checks the window,
decides what to do and stores that.
"""
