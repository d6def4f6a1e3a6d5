"""Records on their way into the prediction log.

Read in this order: ``records`` (what a source gives), ``paths`` and ``json_values`` (finding values in it), ``times``
and ``sample_key`` (what every row gets), ``typed``, ``transform`` and ``conform`` (one feature), ``complaints``,
``contract`` and ``prepare`` (a whole batch: its rules, then rows and quarantine), ``encode`` (rows to a
model's matrix).
"""
