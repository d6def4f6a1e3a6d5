"""``flywheel demo``: the whole loop on a year of real flights, in logical time.

Read in this order: ``run`` (starts everything, says where it is), ``replay`` (week after week: infer, join feedback,
check drift, wait for the retrain that drift asks for), ``report`` (the table a month, the picture, the file).
"""

from deployments.demo.run import run

__all__ = ["run"]
