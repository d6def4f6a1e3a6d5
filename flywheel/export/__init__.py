"""Turns labelled predictions into training data: chosen, checked, then published.

Read in this order: ``rates`` (which share of which class is kept), ``classes`` (which rows that leaves, before they
are joined), ``stated`` (the labels of those), ``sample`` (the rows, from the prediction log and the labels), ``checks``
and ``gate`` (what they must look like, evaluated by great_expectations), ``manifest`` (what is known about an export),
``write`` (partitioned Parquet that exists once its manifest does), ``publish`` (gate, then write) and ``read``.
"""
