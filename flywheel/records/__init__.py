"""Records on their way into the prediction log.

Read in this order: ``records`` (what a source gives), ``paths`` and ``json_values`` (finding values in it), ``times``
and ``sample_key`` (what every row gets), ``typed``, ``transform`` and ``conform`` (one feature), ``complaints`` and
``prepare`` (a whole batch: rows and quarantine), ``encode`` (rows to a model's matrix).
"""
