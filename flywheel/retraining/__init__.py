"""One retrain of a pipeline, from what asked for it to a new champion or the reason why there is none.

Read in this order: ``request`` (claimed once per key), ``export`` (labelled rows, published through the gate), ``rows``
(what is learned from), ``reference`` (the new baseline), ``promotion`` (register, then promote, review or reject).
"""
