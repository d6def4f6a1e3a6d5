"""Where records come from.

Read in this order: ``base`` (what every source promises), ``files`` (a folder) with one module per format, ``sql`` (a
query with a cursor), ``open``.
"""
