"""The model registry: versions, their files, their history, and which of them is the champion.

Read in this order: ``card`` (what is known beside the file), ``version`` (a registered version), ``loading`` (from
verified bytes to a model), ``store`` (register, promote, reject, load).
"""
