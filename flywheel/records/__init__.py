"""Records on their way into the prediction log.

Read in this order: ``times`` and ``sample_key`` (what every row gets), ``conform`` (one feature: type, rules),
``transform`` (one feature: the manifest's transform), ``prepare`` (a whole batch: rows and quarantine), ``encode`` (rows
to a model's matrix).
"""
