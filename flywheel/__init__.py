"""The engine of Flywheel: computes, and never imports Prefect.

Read in this order: ``manifest`` (what a pipeline is), ``workspace`` (where its data lives), ``metadata`` (the batch
ledger and the model registry), ``lake`` (the Delta tables and the exactly-once append), then one package a step of the
loop: ``sources``, ``records``, ``inference``, ``feedback``, ``drift``, ``export``, ``training``, ``sinks``.
``serving`` is the model server and ``cli`` the command line.
"""
